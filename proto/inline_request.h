// The inline form of a request: words on a line, as typed into telnet.
//
// Called by the request decoder once it has a whole line. Pure, any thread, no state.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

namespace nearcached::proto {

// Splits `line` (without its terminator) into words with the rules of Redis's sdssplitargs: words
// are separated by blanks; "double quotes" understand \n \r \t \b \a \xHH and \<any>; 'single
// quotes' understand \' only; a closing quote must be followed by a blank or the end.
//
// Appends one view per word to `args`; a line of blanks appends nothing. Words without quotes are
// views into `line`. Words with quotes are views into `*unescaped`, which is then set to a block
// of at most line.size() bytes that the caller keeps as long as the views; it is left alone when
// no word needs it.
//
// Returns false, with `args` as it was, when quotes are unbalanced.
//
// One difference from Redis: a NUL is an ordinary byte here, while there it ends the line.
[[nodiscard]] bool SplitInline(std::string_view line, std::vector<std::string_view>& args,
                               std::unique_ptr<char[]>& unescaped);

}  // namespace nearcached::proto
