#include "daemon/command_settings.h"

#include <string>
#include <string_view>
#include <utility>

#include "config/validate.h"
#include "daemon/command/command_table.h"

namespace nearcached {

void CheckRenames(config::LoadResult& loaded) {
  constexpr std::string_view kPath = "commands.rename";
  if (loaded.config.commands.rename.empty()) {
    return;
  }
  const CommandTable table;  // without any renames: what each name means by itself
  const auto is_known = [&table](std::string_view name) {
    return &table.FindByName(name) != &table.unknown();
  };
  for (const std::string& pair : loaded.config.commands.rename) {
    const std::size_t equals = pair.find('=');
    const std::string name = pair.substr(0, equals);
    const std::string upstream = pair.substr(equals + 1);
    if (is_known(name) && is_known(upstream)) {
      const config::Place place = config::PlaceOf(loaded.given, kPath);
      std::string message = "\"" + pair + "\" makes one command out of another, must give ";
      message.append(name).append(" the name that rename-command gave it in redis.conf");
      loaded.problems.push_back(
          {place.file, place.line, place.column, std::string(kPath), std::move(message)});
    }
  }
}

}  // namespace nearcached
