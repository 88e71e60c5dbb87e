// One line of what NEARCACHE POOLS and its like show: named fields, in order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nearcached {

using AdminField = std::variant<std::int64_t, std::string>;
// Names are literals.
using AdminRow = std::vector<std::pair<std::string_view, AdminField>>;

}  // namespace nearcached
