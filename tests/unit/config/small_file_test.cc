#include "config/small_file.h"

#include <cstring>
#include <fstream>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "tests/unit/config/scratch_directory.h"

namespace nearcached::config {
namespace {

TEST_CASE("a file comes back byte for byte, also an empty one") {
  const ScratchDirectory directory;
  const std::string bytes("a\0\r\n\xff z", 7);
  const auto read = ReadSmallFile(directory.Write("f", bytes), 100);
  REQUIRE(read.ok());
  CHECK(*read.value == bytes);
  const auto empty = ReadSmallFile(directory.Write("empty", ""), 100);
  REQUIRE(empty.ok());
  CHECK(empty.value->empty());
}

TEST_CASE("of a file that is too large one byte more than allowed comes back, and not the rest") {
  const ScratchDirectory directory;
  const std::string fits = directory.Write("fits", std::string(10, 'x'));
  CHECK(ReadSmallFile(fits, 10).value->size() == 10);
  CHECK(ReadSmallFile(fits, 9).value->size() == 10);
  const std::string huge = directory.Write("huge", std::string(1'000'000, 'x'));
  CHECK(ReadSmallFile(huge, 10).value->size() == 11);
  CHECK(ReadSmallFile(huge, 0).value->size() == 1);
}

TEST_CASE("a symbolic link is followed, a broken one does not exist, one in a circle is an error") {
  const ScratchDirectory directory;
  directory.Write("f", "text");
  REQUIRE(symlink("f", directory.Name("link").c_str()) == 0);
  CHECK(ReadSmallFile(directory.Name("link"), 100).value == "text");
  REQUIRE(symlink("nowhere", directory.Name("broken").c_str()) == 0);
  CHECK(ReadSmallFile(directory.Name("broken"), 100).error == "does not exist");
  REQUIRE(symlink("circle", directory.Name("circle").c_str()) == 0);
  CHECK(ReadSmallFile(directory.Name("circle"), 100).error.starts_with("cannot be read: "));
}

TEST_CASE("what is no file is refused with what it is") {
  const ScratchDirectory directory;
  CHECK(ReadSmallFile(directory.Name("missing"), 100).error == "does not exist");
  CHECK(ReadSmallFile(directory.Write("f", "") + "/below", 100).error != "");
  CHECK(ReadSmallFile(directory.path(), 100).error == "is a directory, must be a file");
  CHECK(ReadSmallFile("/dev/zero", 100).error == "is neither a file nor a pipe");

  const int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(server >= 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = directory.Name("s");
  REQUIRE(name.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  REQUIRE(bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(ReadSmallFile(name, 100).error == "is neither a file nor a pipe");
  close(server);
}

TEST_CASE("a pipe is read to its end, however its writer cuts it") {
  const ScratchDirectory directory;
  const std::string name = directory.Name("pipe");
  REQUIRE(mkfifo(name.c_str(), 0600) == 0);
  std::thread writer([&] {
    std::ofstream out(name, std::ios::binary);
    for (int i = 0; i < 100; ++i) {
      out << "line " << i << "\n" << std::flush;
    }
  });
  const auto read = ReadSmallFile(name, 10'000);
  writer.join();
  REQUIRE(read.ok());
  CHECK(read.value->starts_with("line 0\n"));
  CHECK(read.value->ends_with("line 99\n"));
  CHECK(read.value->size() == 10 * 7 + 90 * 8);
}

TEST_CASE("a file whose reading fails is an error and no empty text") {
  // Reading one's own memory at address 0 gives EIO.
  const auto read = ReadSmallFile("/proc/self/mem", 100);
  CHECK_FALSE(read.ok());
  CHECK(read.error.starts_with("cannot be read"));
}

}  // namespace
}  // namespace nearcached::config
