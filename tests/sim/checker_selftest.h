// Proves that the checker is neither blind nor a liar: the naive proxy passes calm worlds, and each
// of its planted bugs is found, by the right invariant.
#pragma once

namespace nearcached::sim {

// Prints one line per bug; true when all is as it should be.
[[nodiscard]] bool RunSelftest(bool verbose);

}  // namespace nearcached::sim
