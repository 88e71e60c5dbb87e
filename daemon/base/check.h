// CHECK: a broken invariant of our own ends the process, in release builds too, with one clear
// line.
//
// Never CHECK anything that a client, an upstream, a file or the environment can send: those are
// peer faults and get an error reply or a closed connection.
#pragma once

#include <cstdio>
#include <cstdlib>

#define NC_CHECK(condition)                                                                        \
  do {                                                                                             \
    if (!(condition)) [[unlikely]] {                                                               \
      (void)std::fprintf(stderr, "%s:%d: invariant broken: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                                \
    }                                                                                              \
  } while (false)
