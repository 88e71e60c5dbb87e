#include "config/small_file.h"

#include <filesystem>
#include <fstream>
#include <system_error>

namespace nearcached::config {

Parsed<std::string> ReadSmallFile(const std::string& path, std::size_t max) {
  using Result = Parsed<std::string>;
  std::error_code failed;
  const auto status = std::filesystem::status(path, failed);
  if (status.type() == std::filesystem::file_type::not_found) {
    return Result::Failure("does not exist");
  }
  if (failed) {
    return Result::Failure("cannot be read: " + failed.message());
  }
  if (std::filesystem::is_directory(status)) {
    return Result::Failure("is a directory, must be a file");
  }
  // A pipe ("--config <(…)") is fine. A device might never end, and opening a socket fails.
  if (!std::filesystem::is_regular_file(status) && !std::filesystem::is_fifo(status)) {
    return Result::Failure("is neither a file nor a pipe");
  }
  std::ifstream in(path, std::ios::binary);
  std::string text(max + 1, '\0');
  if (in) {
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
  }
  if (!in.is_open() || in.bad()) {
    return Result::Failure("cannot be read: it must be a file this user may read");
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  return Result::Of(std::move(text));
}

}  // namespace nearcached::config
