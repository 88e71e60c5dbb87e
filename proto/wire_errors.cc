#include "proto/wire_errors.h"

#include <initializer_list>

namespace nearcached::proto {
namespace {

std::string Concat(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) {
    out.append(part);
  }
  return out;
}

bool ContinuesUtf8(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

}  // namespace

std::string Printable(std::string_view text) {
  if (text.size() > kPeerTextBytesMax) {
    // A sequence has at most three continuation bytes; longer runs are not UTF-8 and are just cut.
    std::size_t cut = kPeerTextBytesMax;
    while (cut > kPeerTextBytesMax - 3 && ContinuesUtf8(text[cut])) {
      --cut;
    }
    text = text.substr(0, ContinuesUtf8(text[cut]) ? kPeerTextBytesMax : cut);
  }
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      c = '?';
    }
  }
  return out;
}

std::string WrongArity(std::string_view command) {
  return Concat({"ERR wrong number of arguments for '", Printable(command), "' command"});
}

std::string UnknownSubcommand(std::string_view command, std::string_view subcommand) {
  return Concat(
      {"ERR unknown subcommand '", Printable(subcommand), "'. Try ", Printable(command), " HELP."});
}

std::string HelloSyntax(std::string_view option) {
  return Concat({"ERR Syntax error in HELLO option '", Printable(option), "'"});
}

std::string UpstreamUnavailable(std::string_view upstream, std::string_view why) {
  return Concat({"ERR nearcached: upstream ", Printable(upstream), " is unavailable (",
                 Printable(why), "); retrying"});
}

std::string UpstreamInMaintenance(std::string_view upstream, std::string_view key) {
  return Concat({"ERR nearcached: upstream ", Printable(upstream),
                 " is in maintenance while its key '", Printable(key),
                 "' exists; DEL it when it is over"});
}

std::string NotSupported(std::string_view what, std::string_view remedy) {
  return Concat({"ERR nearcached: ", Printable(what), " is not supported; ", remedy});
}

std::string OwnError(std::string_view what) {
  return Concat({"ERR nearcached: ", what});
}

}  // namespace nearcached::proto
