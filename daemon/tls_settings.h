// From TLS settings to what net/ wants, and whether the files they name can be used.
//
// Thread: pure but for reading the files; blocks while it does.
#pragma once

#include "config/config.h"
#include "config/loader.h"
#include "daemon/net/tls_context.h"

namespace nearcached {

[[nodiscard]] TlsOptions OptionsOf(const config::UpstreamTlsConfig& tls);
[[nodiscard]] TlsOptions OptionsOf(const config::SentinelTlsConfig& tls);
[[nodiscard]] TlsOptions OptionsOf(const config::ListenerTlsConfig& tls);

// Loads each file that the settings name, as the start would, and adds what is wrong to `loaded`,
// with the place where the file was named. REQUIRES: loaded.ok().
void CheckTlsFiles(config::LoadResult& loaded);

}  // namespace nearcached
