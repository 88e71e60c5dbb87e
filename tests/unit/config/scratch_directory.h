// A directory of its own for one test, gone with it.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <unistd.h>

namespace nearcached::config {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("nearcached_config_test." + std::to_string(getpid()) + "." + std::to_string(++count));
    std::filesystem::create_directories(path_);
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::string path() const { return path_.string(); }
  std::string Name(const std::string& name) const { return (path_ / name).string(); }
  // The whole name of the file that now holds `content`.
  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(Name(name), std::ios::binary) << content;
    return Name(name);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace nearcached::config
