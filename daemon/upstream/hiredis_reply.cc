#include "daemon/upstream/hiredis_reply.h"

#include <memory>

#include <hiredis/hiredis.h>

namespace nearcached {
namespace {

UpstreamReply Convert(const redisReply& from) {
  UpstreamReply to;
  switch (from.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_DOUBLE:
    case REDIS_REPLY_BIGNUM:
    case REDIS_REPLY_VERB:
      to.kind = UpstreamReply::Kind::kString;
      to.text.assign(from.str, from.len);
      break;
    case REDIS_REPLY_ERROR:
      to.kind = UpstreamReply::Kind::kError;
      to.text.assign(from.str, from.len);
      break;
    case REDIS_REPLY_INTEGER:
    case REDIS_REPLY_BOOL:
      to.kind = UpstreamReply::Kind::kInteger;
      to.integer = from.integer;
      break;
    case REDIS_REPLY_ARRAY:
    case REDIS_REPLY_SET:
    case REDIS_REPLY_PUSH:
    case REDIS_REPLY_MAP:
    case REDIS_REPLY_ATTR:
      to.kind =
          from.type == REDIS_REPLY_MAP ? UpstreamReply::Kind::kMap : UpstreamReply::Kind::kArray;
      to.elements.reserve(from.elements);
      for (std::size_t i = 0; i < from.elements; ++i) {
        to.elements.push_back(Convert(*from.element[i]));  // hiredis bounds the nesting
      }
      break;
    default:
      break;  // nil
  }
  return to;
}

}  // namespace

const UpstreamReply* UpstreamReply::Find(std::string_view key) const {
  if (kind != Kind::kMap && kind != Kind::kArray) {
    return nullptr;
  }
  for (std::size_t i = 0; i + 1 < elements.size(); i += 2) {
    if (elements[i].kind == Kind::kString && elements[i].text == key) {
      return &elements[i + 1];
    }
  }
  return nullptr;
}

std::optional<UpstreamReply> ParseUpstreamReply(std::string_view bytes) {
  const std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader(redisReaderCreate(),
                                                                        &redisReaderFree);
  if (reader == nullptr || redisReaderFeed(reader.get(), bytes.data(), bytes.size()) != REDIS_OK) {
    return std::nullopt;
  }
  void* raw = nullptr;
  if (redisReaderGetReply(reader.get(), &raw) != REDIS_OK || raw == nullptr) {
    return std::nullopt;
  }
  const std::unique_ptr<redisReply, decltype(&freeReplyObject)> reply(static_cast<redisReply*>(raw),
                                                                      &freeReplyObject);
  if (reader->pos != reader->len) {
    return std::nullopt;  // more than one reply
  }
  return Convert(*reply);
}

}  // namespace nearcached
