#include "daemon/upstream/command_reply.h"

#include <string_view>
#include <utility>

namespace nearcached {
namespace {

using Kind = UpstreamReply::Kind;

// Positions in one entry of the reply.
enum Field : std::size_t {
  kName,
  kArity,
  kFlags,
  kFirstKey,
  kLastKey,
  kStep,
  kCategories,
  kTips,
  kKeySpecs,
  kSubcommands
};

std::vector<std::string> Strings(const UpstreamReply& from) {
  std::vector<std::string> out;
  for (const UpstreamReply& element : from.elements) {
    if (element.kind == Kind::kString) {
      out.push_back(element.text);
    }
  }
  return out;
}

std::int64_t Integer(const UpstreamReply* from) {
  return from != nullptr && from->kind == Kind::kInteger ? from->integer : 0;
}

std::string Text(const UpstreamReply* from) {
  return from != nullptr && from->kind == Kind::kString ? from->text : std::string();
}

UpstreamKeySpec KeySpecOf(const UpstreamReply& from) {
  UpstreamKeySpec spec;
  if (const auto* flags = from.Find("flags")) {
    spec.flags = Strings(*flags);
  }
  if (const auto* begin = from.Find("begin_search")) {
    spec.begin_search = Text(begin->Find("type"));
    if (const auto* details = begin->Find("spec")) {
      spec.index = Integer(details->Find("index"));
      spec.keyword = Text(details->Find("keyword"));
      spec.start_from = Integer(details->Find("startfrom"));
    }
  }
  if (const auto* find = from.Find("find_keys")) {
    spec.find_keys = Text(find->Find("type"));
    if (const auto* details = find->Find("spec")) {
      spec.last_key = Integer(details->Find("lastkey"));
      spec.limit = Integer(details->Find("limit"));
      spec.key_num_index = Integer(details->Find("keynumidx"));
      spec.first_key = Integer(details->Find("firstkey"));
      spec.key_step = Integer(details->Find("keystep"));
    }
  }
  return spec;
}

}  // namespace

std::vector<UpstreamCommand> ParseCommandReply(const UpstreamReply& reply) {
  std::vector<UpstreamCommand> out;
  for (const UpstreamReply& entry : reply.elements) {
    const auto& fields = entry.elements;
    if (entry.kind != Kind::kArray || fields.size() <= kStep ||
        fields[kName].kind != Kind::kString) {
      continue;
    }
    UpstreamCommand command;
    command.name = fields[kName].text;
    command.arity = Integer(&fields[kArity]);
    command.flags = Strings(fields[kFlags]);
    command.first_key = Integer(&fields[kFirstKey]);
    command.last_key = Integer(&fields[kLastKey]);
    command.key_step = Integer(&fields[kStep]);
    if (fields.size() > kCategories) {
      command.acl_categories = Strings(fields[kCategories]);
    }
    if (fields.size() > kTips) {
      command.tips = Strings(fields[kTips]);
    }
    if (fields.size() > kKeySpecs) {
      for (const UpstreamReply& spec : fields[kKeySpecs].elements) {
        command.key_specs.push_back(KeySpecOf(spec));
      }
    }
    if (fields.size() > kSubcommands) {
      command.subcommands = ParseCommandReply(fields[kSubcommands]);
    }
    out.push_back(std::move(command));
  }
  return out;
}

}  // namespace nearcached
