// Reads of one key other than GET: HGETALL, LRANGE, ZSCORE … Which of them are kept is a matter of
// l1.commands and the key's rule.
//
// What is kept is the reply as it was said, for equal requests in one protocol: a RESP2 client and
// a RESP3 client have entries of their own. The path is GET's, with three differences. Without
// tracking nothing is kept: replies to several reads of a key would be of different moments, and a
// client that goes from one to the other would see the key go back in time; where the server tells
// of a change, it does so before it answers a later read on the same link. For the same reason a
// client that waits for a read of the key is not answered from L1 until it has that reply, but by
// a flight that was sent after it. And a key has no more flights than it may have entries.
#include <array>
#include <cstring>

#include "daemon/session/dispatcher.h"

namespace nearcached {
namespace {

// A longer name of a variant is not worth its memory: the arguments of a read are short.
constexpr std::size_t kVariantBytesMax = 1024;

}  // namespace

bool Dispatcher::Read(Session& session, const Request& request) {
  const CommandRow& row = *request.row;
  if (!context_.config->l1.enabled || !context_.policy->MayKeep(row) || !NamesOneKey(request)) {
    return ForwardPlain(session, request);
  }
  const std::string_view name = visits_.front().key;
  const KeyPolicy& policy = context_.policy->ForKey(name, TrackingState::kArmed);
  if (!context_.policy->Keeps(policy, row)) {
    return ForwardPlain(session, request);
  }
  (void)NoteScript(session, request);  // the server would know it from now on, though it is a hit
  NameVariant(session.client.protocol, request, name);
  if (!policy.cache || variant_.size() > kVariantBytesMax) {
    context_.stats.bypass_policy.Add();
    return ForwardPlain(session, request);
  }
  if (session.pin.link != nullptr) {
    context_.stats.bypass_transaction.Add();
    return ForwardPlain(session, request);
  }
  const CacheKey key{session.client.db, name, context_.hasher(name), variant_};
  const bool may_hit =
      !session.open.MayBeForwarded(key.hash) && !session.open.MayBeFilling(key.hash);
  if (context_.cache_enabled && may_hit) {
    if (auto hit = context_.l1.FindVariantHit(key, context_.scheduler.Now())) {
      context_.stats.hits.Add();
      context_.stats.variant_hits[row.id].Add();
      hit->negative = false;  // its reply is kept as it was said
      NoteHit(key);
      session.AnswerValue(*hit);
      return true;
    }
  }
  if (context_.coherence.flights().UnderWay(key.hash) >= context_.config->l1.variants_max) {
    context_.stats.bypass_variants.Add();
    return ForwardPlain(session, request);
  }
  return Missed(session, request, key, {request.raw, &row, session.client.protocol});
}

// Leaves the key in visits_.
bool Dispatcher::NamesOneKey(const Request& request) {
  return request.row->ArityHolds(request.args.size()) &&
         ExtractKeys(*request.row, request.args, visits_) == KeysVerdict::kKeys &&
         visits_.size() == 1;
}

// Writes to variant_ what tells this read of the key from all others: protocol, command, and every
// argument but the key, with its length. Where the key is among the arguments the command says.
void Dispatcher::NameVariant(proto::Protocol protocol, const Request& request,
                             std::string_view key) {
  variant_.clear();
  variant_.push_back(protocol == proto::Protocol::kResp3 ? '3' : '2');
  const auto append_number = [this](auto number) {
    std::array<char, sizeof number> bytes{};
    std::memcpy(bytes.data(), &number, sizeof number);
    variant_.append(bytes.data(), bytes.size());
  };
  append_number(request.row->id);
  for (const std::string_view arg : request.args.subspan(1)) {
    if (arg.data() == key.data()) {
      continue;
    }
    append_number(static_cast<std::uint32_t>(arg.size()));
    variant_.append(arg.substr(0, kVariantBytesMax));  // more is too much whatever follows
  }
}

}  // namespace nearcached
