#include "daemon/net/tls_failure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

namespace nearcached {
namespace {

TlsFault ExplainCertificate(long verdict, const TlsOptions& options, const std::string& host) {
  const bool is_client = options.role == TlsRole::kClient;
  const std::string whose =
      is_client ? "the certificate of the upstream" : "the client's certificate";
  switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return {TlsFailure::kExpired, whose + " has expired: renew it"};
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return {TlsFailure::kExpired, whose + " is not valid yet: check the clocks of both machines"};
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return {TlsFailure::kName, whose + " is not for " + host + ": set " + options.section +
                                     ".server_name to the name it is for, or " + options.section +
                                     ".verify: ca"};
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CERT_UNTRUSTED:
      return {TlsFailure::kUnknownCa,
              whose + " is not signed by a CA we trust: name its CA in " +
                  (is_client ? options.section + ".ca_file" : "the listener's tls.client_ca_file")};
    default:
      return {TlsFailure::kCertificate,
              whose + " is refused: " + X509_verify_cert_error_string(verdict)};
  }
}

// Alerts: what the peer told us before it closed.
bool ExplainAlert(int reason, const std::string& raw, const TlsOptions& options, TlsFault& fault) {
  const bool is_client = options.role == TlsRole::kClient;
  const std::string peer = is_client ? "the upstream" : "the client";
  switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      fault = {TlsFailure::kRefusedByPeer, peer + " wants a certificate from us: set " +
                                               options.section + ".cert_file and key_file"};
      return true;
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      fault = {TlsFailure::kRefusedByPeer, peer + " refuses our certificate (" + raw +
                                               "): it must trust the CA that signed it"};
      return true;
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      fault = {TlsFailure::kVersion,
               peer + " accepts none of our TLS versions: see min_version on both sides"};
      return true;
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      fault = {TlsFailure::kRefusedByPeer,
               peer +
                   " refused the handshake: it may want a certificate from us (cert_file, "
                   "key_file), or allow none of our ciphers"};
      return true;
    default:
      return false;
  }
}

}  // namespace

const char* TlsFailureName(TlsFailure why) {
  switch (why) {
    case TlsFailure::kExpired:
      return "certificate_expired";
    case TlsFailure::kName:
      return "name_mismatch";
    case TlsFailure::kUnknownCa:
      return "unknown_ca";
    case TlsFailure::kCertificate:
      return "certificate";
    case TlsFailure::kNoCertificate:
      return "no_client_certificate";
    case TlsFailure::kRefusedByPeer:
      return "refused_by_peer";
    case TlsFailure::kVersion:
      return "version";
    case TlsFailure::kCipher:
      return "cipher";
    case TlsFailure::kNotTls:
      return "not_tls";
    case TlsFailure::kClosed:
      return "closed";
    case TlsFailure::kTimeout:
      return "timeout";
    case TlsFailure::kOther:
      break;
  }
  return "other";
}

TlsFault ExplainTlsFailure(ssl_st* ssl, const TlsOptions& options, const std::string& host) {
  const unsigned long code = ERR_peek_error();
  const int reason = ERR_GET_REASON(code);
  const char* text = ERR_reason_error_string(code);
  const std::string raw = text != nullptr ? text : "no reason given";
  ERR_clear_error();
  const bool is_client = options.role == TlsRole::kClient;
  TlsFault fault{TlsFailure::kOther, "TLS failed: " + raw};
  switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return ExplainCertificate(SSL_get_verify_result(ssl), options, host);
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      fault = {TlsFailure::kNotTls,
               is_client ? "the upstream does not speak TLS on this port: use redis:// instead of "
                           "rediss://, or the server's tls-port"
                         : "the client does not speak TLS: it must connect with rediss://"};
      break;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_UNKNOWN_PROTOCOL:
      fault = {TlsFailure::kVersion, std::string(is_client ? "the upstream" : "the client") +
                                         " offers no TLS version that we accept: see min_version"};
      break;
    case SSL_R_NO_SHARED_CIPHER:
      fault = {TlsFailure::kCipher, "there is no cipher that both sides allow: see ciphers"};
      break;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      fault = {TlsFailure::kNoCertificate,
               "the client has no certificate, and the listener's tls.client_auth is required"};
      break;
    default:
      (void)ExplainAlert(reason, raw, options, fault);
      break;
  }
  return fault;
}

TlsFault ExplainTlsClosed(TlsRole role) {
  return {TlsFailure::kClosed,
          role == TlsRole::kClient
              ? "the upstream closed the connection during the TLS handshake: does it speak TLS on "
                "this port?"
              : "the client closed the connection during the TLS handshake"};
}

TlsFault ExplainTlsTimeout(TlsRole role) {
  return {TlsFailure::kTimeout,
          role == TlsRole::kClient
              ? "the upstream did not finish the TLS handshake in time: does it speak TLS on this "
                "port?"
              : "the client did not finish the TLS handshake in time"};
}

}  // namespace nearcached
