// Writes RESP: everything the daemon says itself rather than passes on.
//
// Each function appends one value, or the header of one, to `out`. Where the two protocols differ
// it takes the client's. Pure functions, any thread.
// Wire format: https://redis.io/docs/latest/develop/reference/protocol-spec/
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proto/protocol.h"

namespace nearcached::proto {

// "+text". REQUIRES: no CR or LF in `text` (bytes of a peer belong in a bulk).
void AppendSimple(std::string& out, std::string_view text);

// "-line". `line` starts with its code ("ERR …"). CR and LF inside become blanks, so that no text
// can end the reply early and forge the next one.
void AppendError(std::string& out, std::string_view line);

// ":value".
void AppendInteger(std::string& out, std::int64_t value);

// "$<size>" and the bytes, whatever they are.
void AppendBulk(std::string& out, std::string_view bytes);

// The absence of a value: "$-1" or "_".
void AppendNull(std::string& out, Protocol protocol);

// Headers; the caller appends `count` values, or `pairs` keys each followed by its value.
void AppendArrayHeader(std::string& out, std::size_t count);
// RESP2 has no maps: an array of 2 * pairs.
void AppendMapHeader(std::string& out, std::size_t pairs, Protocol protocol);
// RESP2 has no sets either.
void AppendSetHeader(std::string& out, std::size_t count, Protocol protocol);
// RESP3 only: a message outside the order of replies.
void AppendPushHeader(std::string& out, std::size_t count);

// "#t" / "#f"; in RESP2 the integers 1 and 0.
void AppendBool(std::string& out, bool value, Protocol protocol);

// The shortest text that reads back as the same double, "inf", "-inf" or "nan"; in RESP2 a bulk.
void AppendDouble(std::string& out, double value, Protocol protocol);

// Text for people; in RESP2 a bulk. `format` is exactly three bytes: "txt" or "mkd".
void AppendVerbatim(std::string& out, std::string_view format, std::string_view text,
                    Protocol protocol);

// A request: an array of bulks, the command name first.
void AppendCommand(std::string& out, std::span<const std::string_view> args);

}  // namespace nearcached::proto
