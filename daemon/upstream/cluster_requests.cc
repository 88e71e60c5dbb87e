// What clients send, and what becomes of it: one request to one node, parts for several slots, the
// same for every primary, or SCAN, which wanders from node to node.
//
// A request that is taken apart is not atomic: each part is carried out by itself, and an error of
// one does not undo the others. MSET over several slots is the one case where an application could
// tell (see ARCHITECTURE.md).
#include <algorithm>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/upstream/cluster.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

constexpr std::string_view kErrScanShape =
    "ERR nearcached: the nodes of the cluster have changed since this SCAN began; start again "
    "from 0";
constexpr std::string_view kErrTooMuch =
    "ERR nearcached: the replies of the nodes are together larger than upstream.link_bytes_max; "
    "ask "
    "for less at once";

ReplyInfo InfoOf(std::string_view reply) {
  return {reply.front(), reply == "$-1\r\n" || reply == "*-1\r\n" || reply == "_\r\n", -1};
}

std::string ErrorReply(std::string_view line) {
  std::string reply;
  proto::AppendError(reply, line);
  return reply;
}

}  // namespace

ClusterView::Taken Cluster::Take(std::string_view bytes) {
  args_.clear();
  const proto::DecodeVerdict verdict = decoder_.Next(bytes, args_);
  NC_CHECK(verdict.status == proto::DecodeStatus::kRequest && !args_.empty());
  const CommandRow& row = deps_.commands.Find(args_);
  if (deps_.config.cluster_commands &&
      (row.name == "cluster" || row.name.starts_with("cluster|"))) {
    return {row.name, Route{}};
  }
  return {row.name, RouteOf(row, args_, keys_)};
}

std::string_view Cluster::NoMap() {
  refresh_.Request(std::nullopt);
  error_line_ =
      no_map_.empty() ? proto::UpstreamUnavailable(EndpointText(), "still connecting") : no_map_;
  return error_line_;
}

Cluster::Op Cluster::MakeOp(proto::Protocol protocol, std::uint64_t lane,
                            const SendRequest& request) const {
  Op op;
  op.sink = request.sink;
  op.token = request.token;
  op.protocol = protocol;
  op.lane = lane;
  op.script = request.script;
  op.client = request.client;
  op.repeatable = request.repeatable;
  const Duration timeout = request.timeout == Duration::zero()
                               ? Duration(deps_.config.command_timeout)
                               : request.timeout;
  op.deadline = deps_.scheduler.Now() + timeout;
  return op;
}

std::string_view Cluster::SendOn(proto::Protocol protocol, std::uint64_t lane,
                                 SendRequest& request) {
  if (shut_down_) {
    return proto::kErrDraining;
  }
  Op op = MakeOp(protocol, lane, request);
  if (!mapped_) {
    return HoldUnmapped(std::move(op), request);
  }
  const Route route = Take(request.bytes).route;
  switch (route.kind) {
    case Route::Kind::kRefused:
      if (route.error.starts_with("CROSSSLOT")) {
        cluster_stats_.cross_slot.Add();
      }
      error_line_ = route.error;
      return error_line_;
    case Route::Kind::kSplit:
      return SendSplit(op, route, request);
    case Route::Kind::kPrimaries:
      return SendToPrimaries(op, route, request);
    case Route::Kind::kScan:
      return SendScan(std::move(op), request);
    case Route::Kind::kSlot:
    case Route::Kind::kAny:
      break;
  }
  op.keyed = route.kind == Route::Kind::kSlot;
  op.slot = route.slot;
  op.bytes.assign(request.bytes);
  return SendOne(std::move(op), request);
}

std::string_view Cluster::SendTo(NodeIndex node, proto::Protocol protocol, std::uint64_t lane,
                                 SendRequest& request) {
  Op op = MakeOp(protocol, lane, request);
  op.node = node;
  op.bytes.assign(request.bytes);
  return SendOne(std::move(op), request);
}

std::string_view Cluster::SendOne(Op op, SendRequest& request) {
  op.footprint = std::move(request.footprint);
  op.footprinted = op.footprint != nullptr;
  const OpId id = NewOp(std::move(op));
  const std::string_view refused = Begin(id);
  if (!refused.empty()) {
    request.footprint = std::move(At(id).footprint);
    FreeOp(id);
  }
  return refused;
}

// Waits for the first map, which says what kind of request it is.
std::string_view Cluster::HoldUnmapped(Op op, SendRequest& request) {
  if (!no_map_.empty()) {
    return NoMap();
  }
  if (unmapped_.size() >= deps_.config.link_queue_max ||
      unmapped_bytes_ + request.bytes.size() > deps_.config.link_bytes_max) {
    return proto::kErrOverload;
  }
  op.bytes.assign(request.bytes);
  op.footprint = std::move(request.footprint);
  cluster_stats_.held.Add();
  cluster_stats_.requests_held.Add();
  unmapped_bytes_ += op.bytes.size();
  unmapped_.push_back(std::move(op));
  return {};
}

// ---- several at once ----------------------------------------------------------------------------

// Each key was begun once, so each must be finished once: with the part that it travels in.
std::vector<std::unique_ptr<Footprint>> Cluster::DivideFootprint(
    std::unique_ptr<Footprint> whole, const std::vector<SplitPart>& parts) {
  std::vector<std::unique_ptr<Footprint>> divided(parts.size());
  if (whole == nullptr) {
    return divided;
  }
  std::unordered_map<Slot, std::size_t> part_of;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    part_of[parts[i].slot] = i;
  }
  for (FootprintKey& key : whole->keys) {
    auto& footprint = divided[part_of.at(SlotOf(key.key))];
    if (footprint == nullptr) {
      footprint = std::make_unique<Footprint>();
      footprint->write = whole->write;
      footprint->wide = whole->wide;
    }
    footprint->keys.push_back(std::move(key));
  }
  return divided;
}

std::string_view Cluster::SendSplit(const Op& like, const Route& route, SendRequest& request) {
  cluster_stats_.split.Add();
  const std::vector<SplitPart> parts = SplitBySlot(args_, route.step);
  auto footprints = DivideFootprint(std::move(request.footprint), parts);
  auto gather = std::make_shared<Gather>();
  gather->merge = route.merge;
  std::vector<Op> ops;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Op op = MakeOp(like.protocol, like.lane, request);
    op.keyed = true;
    op.slot = parts[i].slot;
    AppendPart(op.bytes, args_, route.step, parts[i]);
    op.footprint = std::move(footprints[i]);
    op.footprinted = op.footprint != nullptr;
    ops.push_back(std::move(op));
    gather->parts.push_back({{}, parts[i].positions});
  }
  return BeginParts(gather, std::move(ops));
}

std::string_view Cluster::SendToPrimaries(const Op& like, const Route& route,
                                          SendRequest& request) {
  if (primaries_.empty()) {
    refresh_.Request(std::nullopt);
    return kErrClusterDown;
  }
  cluster_stats_.fanned_out.Add();
  auto gather = std::make_shared<Gather>();
  gather->merge = route.merge;
  gather->footprint = std::move(request.footprint);
  std::vector<Op> ops;
  for (const NodeIndex node : primaries_) {
    Op op = MakeOp(like.protocol, like.lane, request);
    op.node = node;
    op.bytes.assign(request.bytes);
    ops.push_back(std::move(op));
    gather->parts.emplace_back();
  }
  const std::string_view refused = BeginParts(gather, std::move(ops));
  if (!refused.empty()) {
    request.footprint = std::move(gather->footprint);
  }
  return refused;
}

// Changes with the set of primaries, and is never 0: that is where a scan begins.
std::uint64_t Cluster::Shape() const {
  std::string all;
  for (const NodeIndex node : primaries_) {
    all += nodes_.endpoint(node).ToString() + ' ';
  }
  return 1 + SlotOf(all) % (ScanCursor::kShapes - 1);
}

std::string_view Cluster::SendScan(Op op, SendRequest& request) {
  const auto cursor = ScanCursor::Parse(args_[1]);
  if (!cursor) {
    op.bytes.assign(request.bytes);  // any node has the words for what is wrong
    return SendOne(std::move(op), request);
  }
  ScanCursor at = *cursor;
  if (at.shape == 0 && at.node == 0 && at.cursor == 0) {
    at.shape = Shape();
  }
  if (at.shape != Shape() || at.node >= primaries_.size()) {
    return primaries_.empty() ? kErrClusterDown : kErrScanShape;
  }
  auto gather = std::make_shared<Gather>();
  gather->merge = MergeKind::kScan;
  gather->scan = at;
  gather->scan_nodes = primaries_.size();
  gather->parts.emplace_back();
  const std::string own = std::to_string(at.cursor);
  std::vector<std::string_view> words(args_.begin(), args_.end());
  words[1] = own;
  proto::AppendCommand(op.bytes, words);
  op.node = primaries_[at.node];
  op.footprint = std::move(request.footprint);
  op.footprinted = op.footprint != nullptr;
  std::vector<Op> ops;
  ops.push_back(std::move(op));
  return BeginParts(gather, std::move(ops));
}

// An error line when no part could be sent. What could not be sent while others were is answered
// with them.
std::string_view Cluster::BeginParts(const std::shared_ptr<Gather>& gather, std::vector<Op> parts) {
  gather->sink = parts.front().sink;
  gather->token = parts.front().token;
  for (std::uint32_t i = 0; i < parts.size(); ++i) {
    parts[i].gather = gather;
    parts[i].part = i;
    const OpId id = NewOp(std::move(parts[i]));
    const std::string_view refused = Begin(id);
    if (refused.empty()) {
      ++gather->waiting;
      continue;
    }
    error_line_ = refused;
    gather->parts[i].reply = ErrorReply(refused);
    if (At(id).footprint != nullptr) {
      coherence_->Finish(std::move(At(id).footprint), Outcome::kAnswered);  // never left
    }
    FreeOp(id);
  }
  return gather->waiting == 0 ? std::string_view(error_line_) : std::string_view{};
}

void Cluster::TakePart(Op& op, std::string_view bytes, bool last) {
  Gather& gather = *op.gather;
  gather.bytes += bytes.size();
  gather.overflow = gather.overflow || gather.bytes > deps_.config.link_bytes_max;
  std::string& reply = gather.parts[op.part].reply;
  if (gather.overflow) {
    reply = ErrorReply(kErrTooMuch);
  } else {
    reply.append(bytes);
  }
  if (last && --gather.waiting == 0) {
    FinishGather(gather);
  }
}

void Cluster::LosePart(Op& op, std::string_view error_line) {
  Gather& gather = *op.gather;
  gather.parts[op.part].reply = ErrorReply(error_line);
  gather.lost = true;
  if (--gather.waiting == 0) {
    FinishGather(gather);
  }
}

void Cluster::FinishGather(Gather& gather) {
  if (gather.footprint != nullptr) {
    coherence_->Finish(std::move(gather.footprint),
                       gather.lost ? Outcome::kLost : Outcome::kAnswered);
  }
  const std::string reply =
      gather.merge == MergeKind::kScan
          ? RewriteScanReply(gather.parts.front().reply, gather.scan, gather.scan_nodes)
          : MergeReplies(gather.merge, gather.parts, deps_.rng.Next());
  gather.sink->OnReplyPart(gather.token, reply, InfoOf(reply), true);
}

// The keys that the request names, cacheable or not, as if they were.
std::unique_ptr<Footprint> Cluster::FootprintAgain(std::string_view bytes) {
  std::vector<std::string_view> args;
  if (decoder_.Next(bytes, args).status != proto::DecodeStatus::kRequest || args.empty()) {
    return nullptr;
  }
  const CommandRow& row = deps_.commands.Find(args);
  std::vector<KeyVisit> keys;
  const bool unknown = ExtractKeys(row, args, keys) == KeysVerdict::kUnknown;
  auto footprint = std::make_unique<Footprint>();
  footprint->flushes_all = row.Is(CommandFlag::kFlushesAll);
  footprint->wide = unknown || row.Is(CommandFlag::kWide) || footprint->flushes_all;
  footprint->write = footprint->flushes_all;
  for (const KeyVisit& visit : keys) {
    const bool write = visit.write || unknown;
    footprint->write = footprint->write || write;
    footprint->keys.push_back({deps_.hasher(visit.key), std::string(visit.key), write});
  }
  coherence_->BeginWrite(*footprint);
  return footprint;
}

}  // namespace nearcached
