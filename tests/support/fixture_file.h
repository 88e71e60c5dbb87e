// Reads the data files of tests/support. They are found next to this header, wherever the build
// directory is.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace nearcached {

// The lines of tests/support/`name` that are neither empty nor begin with '#'. Empty when there is
// no such file: callers REQUIRE a number of lines.
inline std::vector<std::string> FixtureLines(std::string_view name) {
  std::ifstream file(std::filesystem::path(__FILE__).parent_path() / name);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.front() != '#') {
      lines.push_back(line);
    }
  }
  return lines;
}

// The words of a line, parted by single spaces.
inline std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t space = line.find(' ');
    words.push_back(line.substr(0, space));
    if (space == std::string_view::npos) {
      return words;
    }
    line.remove_prefix(space + 1);
  }
}

}  // namespace nearcached
