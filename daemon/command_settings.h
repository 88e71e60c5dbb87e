// What can be wrong with the commands section and takes the table of commands to see.
//
// Thread: any; pure.
#pragma once

#include "config/loader.h"

namespace nearcached {

// Adds a problem to `loaded` for each pair of commands.rename that makes one command out of
// another. `get=set` would send SET upstream for what the cache and the client take for a GET.
// Renaming an unknown name ("wipe=unlink", an alias) is allowed. REQUIRES: loaded.ok().
void CheckRenames(config::LoadResult& loaded);

}  // namespace nearcached
