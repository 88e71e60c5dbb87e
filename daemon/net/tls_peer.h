// TlsPeer: what OpenSSL hands back to us with a connection. Part of TlsStream, whose member it is.
#pragma once

#include <memory>
#include <string>

namespace nearcached {

class TlsContext;

struct TlsPeer {
  std::shared_ptr<TlsContext> context;
  std::string host;         // client: what is verified and asked for; a name or a numeric address
  std::string session_key;  // client: whose sessions may be resumed
};

}  // namespace nearcached
