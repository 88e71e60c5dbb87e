# A Sidekiq job. Loaded by the worker; with ROLE=client it is the program that asks for jobs and waits
# for them, and prints "ok" when all of it held.
require 'sidekiq'

WHERE = ENV['SOCKET'].to_s.empty? ? { url: "redis://127.0.0.1:#{ENV['PORT']}/0" } : { path: ENV['SOCKET'] }
Sidekiq.configure_client { |config| config.redis = WHERE }
Sidekiq.configure_server { |config| config.redis = WHERE }

class Adder
  include Sidekiq::Worker

  def perform(amount)
    Sidekiq.redis { |redis| redis.incrby('total', amount) }
  end
end

if ENV['ROLE'] == 'client'
  (1..50).each { |i| Adder.perform_async(i) }
  Adder.perform_in(1, 1000)
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + ENV['WAIT'].to_f
  total = nil
  until total == '2275'
    abort "total is #{total.inspect}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
    sleep 0.05
    total = Sidekiq.redis { |redis| redis.get('total') }
  end
  puts 'ok'
end
