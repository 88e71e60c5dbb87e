// Text from outside, made safe to show.
//
// Thread: pure functions. Never throws.
#pragma once

#include <string>
#include <string_view>

namespace nearcached::config {

// `text` in double quotes with quotes, backslashes, control characters and bytes that are no
// ASCII escaped, so that it cannot forge a line of a log or move a terminal's cursor.
std::string QuotedWhole(std::string_view text);

// The same, cut to a length fit for a message.
std::string QuotedForMessage(std::string_view text);

}  // namespace nearcached::config
