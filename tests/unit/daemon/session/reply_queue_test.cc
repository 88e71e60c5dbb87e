#include "daemon/session/reply_queue.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

namespace nearcached {
namespace {

std::string Taken(OutBuffer& out) {
  std::string bytes = out.Tail();
  out.Clear();
  return bytes;
}

TEST_CASE("replies leave in the order of the requests, whatever order they come in") {
  ReplyQueue queue;
  OutBuffer out;
  const std::uint64_t a = queue.Open({});
  const std::uint64_t b = queue.Open({});
  const std::uint64_t c = queue.Open({});
  queue.Append(c, "C", out);
  queue.Finish(c, out);
  queue.Append(b, "B", out);
  queue.Finish(b, out);
  CHECK(Taken(out).empty());
  CHECK(queue.held_bytes() == 2);
  queue.Append(a, "A", out);
  queue.Finish(a, out);
  CHECK(Taken(out) == "ABC");
  CHECK(queue.empty());
  CHECK(queue.held_bytes() == 0);
}

TEST_CASE("the front speaks directly, and so does the next one once it is the front") {
  ReplyQueue queue;
  OutBuffer out;
  const std::uint64_t a = queue.Open({});
  const std::uint64_t b = queue.Open({});
  CHECK(queue.IsFront(a));
  CHECK_FALSE(queue.IsFront(b));
  queue.Append(a, "a1", out);
  CHECK(Taken(out) == "a1");
  queue.Append(b, "b1", out);
  queue.Append(a, "a2", out);
  queue.Finish(a, out);
  CHECK(Taken(out) == "a2b1");
  CHECK(queue.IsFront(b));
  queue.Append(b, "b2", out);
  CHECK(Taken(out) == "b2");
}

TEST_CASE("a reply known at once waits for those before it, and lets those behind it through") {
  ReplyQueue queue;
  OutBuffer out;
  const std::uint64_t a = queue.Open({});
  queue.OpenAnswered("PONG");
  const std::uint64_t c = queue.Open({});
  queue.Append(c, "c", out);
  CHECK(queue.held_bytes() == 5);
  queue.Finish(a, out);
  CHECK(Taken(out) == "PONGc");
  CHECK(queue.size() == 1);
}

TEST_CASE("what was answered, and what never was asked, is not found") {
  ReplyQueue queue;
  OutBuffer out;
  PendingRequest pending;
  pending.command = 42;
  const std::uint64_t a = queue.Open(std::move(pending));
  const std::uint64_t b = queue.Open({});
  REQUIRE(queue.Find(a) != nullptr);
  CHECK(queue.Find(a)->command == 42);
  queue.Finish(b, out);
  CHECK(queue.Find(b) == nullptr);  // answered, though not out yet
  CHECK(queue.Find(b + 1) == nullptr);
  queue.Finish(a, out);
  CHECK(queue.Find(a) == nullptr);
  CHECK_FALSE(queue.IsFront(a));
  CHECK(queue.Open({}) == b + 1);  // numbers are never used again
}

TEST_CASE("the queue does what a list of strings does, under any script") {
  struct Slot {
    std::uint64_t seq;
    std::string bytes;
    bool done;
  };
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    ReplyQueue queue;
    OutBuffer out;
    std::deque<Slot> model;
    std::string sent;      // what the queue let out
    std::string expected;  // what it should have
    const auto settle = [&] {
      while (!model.empty()) {
        expected += std::exchange(model.front().bytes, {});
        if (!model.front().done) {
          break;
        }
        model.pop_front();
      }
    };
    for (int step = 0; step < 2'000; ++step) {
      const std::uint64_t what = rng.Below(10);
      const std::string bytes = "<" + std::to_string(step) + ">";
      if (what < 3 || model.empty()) {
        model.push_back({queue.Open({}), {}, false});
      } else if (what == 3) {
        queue.OpenAnswered(bytes);
        model.push_back({model.back().seq + 1, bytes, true});
      } else {
        Slot& slot = model[rng.Below(model.size())];
        REQUIRE((queue.Find(slot.seq) == nullptr) == slot.done);
        if (!slot.done) {
          queue.Append(slot.seq, bytes, out);
          slot.bytes += bytes;
          if (what > 6) {
            queue.Finish(slot.seq, out);
            slot.done = true;
          }
        }
      }
      settle();
      sent += Taken(out);
      REQUIRE(sent == expected);
      REQUIRE(queue.size() == model.size());
      std::size_t held = 0;
      for (const Slot& slot : model) {
        held += slot.bytes.size();
      }
      REQUIRE(queue.held_bytes() == held);
    }
  }
}

}  // namespace
}  // namespace nearcached
