// Every error line the daemon says in its own name, in one place. None has "-" or CR LF: give them
// to AppendError.
//
// Where Redis has words for a case they are Redis 7.0's, since clients match on them. Lines about
// nearcached itself start with "ERR nearcached: ", so that nobody looks for the fault in Redis.
// Text from a peer only gets in through Printable. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nearcached::proto {

// Words of Redis.
inline constexpr std::string_view kErrNoAuth = "NOAUTH Authentication required.";
inline constexpr std::string_view kErrWrongPass =
    "WRONGPASS invalid username-password pair or user is disabled.";
inline constexpr std::string_view kErrAuthWithoutPassword =
    "ERR AUTH <password> called without any password configured for the default user. Are you sure "
    "your configuration is correct?";
inline constexpr std::string_view kErrHelloNoAuth =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
    "<proto> "
    "AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol "
    "version at the same time";
inline constexpr std::string_view kErrNoProto = "NOPROTO unsupported protocol version";
inline constexpr std::string_view kErrProtoNotInteger =
    "ERR Protocol version is not an integer or out of range";
inline constexpr std::string_view kErrSyntax = "ERR syntax error";
inline constexpr std::string_view kErrNotInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kErrDbIndex = "ERR DB index is out of range";
inline constexpr std::string_view kErrClientName =
    "ERR Client names cannot contain spaces, newlines or special characters.";
inline constexpr std::string_view kErrExecAbort =
    "EXECABORT Transaction discarded because of previous errors.";
inline constexpr std::string_view kErrMaxClients = "ERR max number of clients reached";

// Our own words.
inline constexpr std::string_view kErrTimeout =
    "ERR nearcached: the upstream did not answer in time; the command may or may not have run";
inline constexpr std::string_view kErrOverload =
    "ERR nearcached: too many requests are waiting for the upstream; try again later";
inline constexpr std::string_view kErrUploadStopped =
    "ERR nearcached: the upstream stopped taking in the request; the command has not run";
inline constexpr std::string_view kErrConnectionLost =
    "ERR nearcached: the upstream connection was lost before the reply; the command may or may not "
    "have run";
inline constexpr std::string_view kErrBadUpstreamReply =
    "ERR nearcached: the upstream sent something that is not RESP; the command may or may not have "
    "run";
inline constexpr std::string_view kErrDraining =
    "ERR nearcached: shutting down; connect again elsewhere";

// The first 128 bytes of `text` with every control byte as '?'; a UTF-8 sequence that would be cut
// in two is left out.
inline constexpr std::size_t kPeerTextBytesMax = 128;
[[nodiscard]] std::string Printable(std::string_view text);

// "ERR wrong number of arguments for 'get' command". `command` is the full name in lower case,
// "client|id" for a subcommand.
[[nodiscard]] std::string WrongArity(std::string_view command);

// "ERR unknown subcommand 'x'. Try CLIENT HELP.". `command` is in upper case.
[[nodiscard]] std::string UnknownSubcommand(std::string_view command, std::string_view subcommand);

// "ERR Syntax error in HELLO option 'x'".
[[nodiscard]] std::string HelloSyntax(std::string_view option);

// "ERR nearcached: upstream 10.0.0.1:6379 is unavailable (connection refused); retrying".
[[nodiscard]] std::string UpstreamUnavailable(std::string_view upstream, std::string_view why);

// "ERR nearcached: upstream 10.0.0.1:6379 is in maintenance while its key 'x' exists; DEL it when
// it is over".
[[nodiscard]] std::string UpstreamInMaintenance(std::string_view upstream, std::string_view key);

// "ERR nearcached: MULTI is not supported; connect to the upstream directly for it". `remedy` says
// what to do instead.
[[nodiscard]] std::string NotSupported(std::string_view what, std::string_view remedy);

// "ERR nearcached: <what>", for what is said in one place only.
[[nodiscard]] std::string OwnError(std::string_view what);

}  // namespace nearcached::proto
