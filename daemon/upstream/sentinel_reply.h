// What sentinels say (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/).
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "config/upstream_url.h"
#include "daemon/base/result.h"
#include "daemon/upstream/hiredis_reply.h"

namespace nearcached {

// SENTINEL GET-MASTER-ADDR-BY-NAME. The error is for people.
[[nodiscard]] Result<config::HostPort> ParseMasterAddress(const UpstreamReply& reply);

// SENTINEL MASTER: the epoch of what it believes; 0 when it does not say.
[[nodiscard]] std::uint64_t ParseConfigEpoch(const UpstreamReply& reply);

// SENTINEL SENTINELS: the others that this one knows. What has not the documented form is left out,
// and so is everything beyond `max`.
[[nodiscard]] std::vector<config::HostPort> ParseSentinels(const UpstreamReply& reply,
                                                           std::size_t max);

// "name old-ip old-port new-ip new-port", the payload of +switch-master: where `name` is now.
// Nothing if it is about another master, or garbled.
[[nodiscard]] std::optional<config::HostPort> ParseSwitchMaster(std::string_view payload,
                                                                std::string_view name);

}  // namespace nearcached
