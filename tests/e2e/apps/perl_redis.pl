# Redis.pm, as an application uses it. Prints "ok" when all of it held.
use strict;
use warnings;
use Redis;

sub equal {
  my ($got, $expected, $what) = @_;
  $got = '(undef)' unless defined $got;
  die "$what: expected '$expected', got '$got'\n" unless $got eq $expected;
}

my @where = $ENV{SOCKET} ? (sock => $ENV{SOCKET}) : (server => "127.0.0.1:$ENV{PORT}");
my $redis = Redis->new(@where, name => 'perl-smoke', encoding => undef);
my $other = Redis->new(@where, encoding => undef);
equal($redis->ping, 'PONG', 'PING');
for my $i (0 .. 99) {
  equal($redis->set(k => "v$i"), 'OK', 'SET');
  equal($other->get('k'), "v$i", 'GET of what another connection wrote');
}
equal($redis->get('nothing'), '(undef)', 'GET of nothing');
equal(join(',', map { defined $_ ? $_ : 'undef' } $redis->mget('k', 'nothing')), 'v99,undef', 'MGET');
my $binary = join('', map { chr } 0 .. 255) x 100;
$redis->set(bin => $binary);
equal($redis->get('bin') eq $binary ? 'same' : 'other', 'same', 'bytes');
$redis->hset('h', 'a', 1);
equal(join(',', $redis->hgetall('h')), 'a,1', 'HGETALL');

# Pipelined replies through callbacks.
my @replies;
$redis->set('p', 1, sub { push @replies, $_[0] });
$redis->incr('p', sub { push @replies, $_[0] });
$redis->get('p', sub { push @replies, $_[0] });
$redis->wait_all_responses;
equal(join(',', @replies), 'OK,2,2', 'a pipeline');

$redis->multi;
$redis->set('t', 1);
$redis->incr('t');
equal(join(',', $redis->exec), 'OK,2', 'MULTI');
$redis->watch('t');
$other->set('t', 7);
$redis->multi;
$redis->set('t', 8);
my @exec = grep { defined } $redis->exec;
equal(scalar @exec, 0, 'EXEC of a watched key that changed');
equal($redis->get('t'), 7, 'nothing of it ran');
equal($redis->eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, 't', 3), 10, 'EVAL');
equal($redis->get('t'), 10, 'GET after the script');
eval { $redis->lpush('k', 'x'); 1 } and die "LPUSH to a string succeeded\n";
die "not WRONGTYPE: $@" unless $@ =~ /WRONGTYPE/;
$other->rpush('q', 'job');
equal(join(',', $redis->blpop('q', 5)), 'q,job', 'BLPOP');

my $heard = '';
my $subscriber = Redis->new(@where);
my $listen = sub { $heard = $_[0] };
$subscriber->subscribe('news', $listen);
equal($other->publish('news', 'hello'), 1, 'PUBLISH');
$subscriber->wait_for_messages(5);
equal($heard, 'hello', 'the message arrives');
$subscriber->unsubscribe('news', $listen);
equal($subscriber->get('k'), 'v99', 'the connection is an ordinary one again');
$redis->set("scan:$_", 1) for 1 .. 300;
my ($cursor, %seen) = (0);
do {
  ($cursor, my $keys) = $redis->scan($cursor, MATCH => 'scan:*', COUNT => 50);
  $seen{$_} = 1 for @$keys;
} while $cursor;
equal(scalar keys %seen, 300, 'SCAN');
$redis->flushall;
equal($redis->get('k'), '(undef)', 'GET after FLUSHALL');
print "ok\n";
