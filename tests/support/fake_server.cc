#include "tests/support/fake_server.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

// Takes one whole request ("*2\r\n$3\r\nGET\r\n…") off the front, as words joined by blanks.
std::optional<std::string> TakeRequest(std::string& bytes) {
  std::size_t at = 0;
  const auto number = [&](char mark) -> std::optional<std::size_t> {
    const std::size_t end = bytes.find("\r\n", at);
    if (end == std::string::npos) {
      return std::nullopt;
    }
    REQUIRE(bytes[at] == mark);
    const std::size_t value = std::strtoul(bytes.c_str() + at + 1, nullptr, 10);
    at = end + 2;
    return value;
  };
  const auto count = number('*');
  std::string text;
  for (std::size_t i = 0; count && i < *count; ++i) {
    const auto size = number('$');
    if (!size || at + *size + 2 > bytes.size()) {
      return std::nullopt;
    }
    text += (i == 0 ? "" : " ") + bytes.substr(at, *size);
    at += *size + 2;
  }
  if (!count) {
    return std::nullopt;
  }
  bytes.erase(0, at);
  return text;
}

}  // namespace

bool FakeServer::Pump() {
  bool anything = false;
  for (bool again = true; again;) {
    again = false;
    while (peers_.size() < dialer_.dials()) {
      peers_.push_back({&dialer_.connection(peers_.size()), {}, {}, false});
    }
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      Peer& peer = peers_[i];
      if (!peer.connection->opened() && !peer.connection->closed() && !away.empty() &&
          dialer_.endpoint(i).host == away) {
        peer.connection->End(Code::kUnavailable, "connection refused");
        again = true;
      }
      if (accepts && !peer.connection->opened() && !peer.connection->closed()) {
        peer.connection->Open();
        again = true;
      }
      TakeRequests(peer);
      again = AnswerOwn(peer) || again;
    }
    anything = anything || again;
  }
  return anything;
}

void FakeServer::TakeRequests(Peer& peer) {
  peer.unparsed += peer.connection->TakeWritten();
  while (!peer.unparsed.empty()) {
    const auto request = TakeRequest(peer.unparsed);
    if (!request) {
      return;
    }
    log_.push_back(*request);
    peer.waiting.push_back({*request, next_order_++});
    peer.tracks = peer.tracks || request->starts_with("CLIENT TRACKING ON");
  }
}

const std::string* FakeServer::OwnAnswer(std::string_view request) const {
  const std::map<std::string_view, const std::string*> answers = {
      {"HELLO", &hello}, {"AUTH", &auth},     {"SELECT", &select},
      {"PING", &ping},   {"CLIENT", &client}, {"COMMAND", &command}};
  const auto it = answers.find(request.substr(0, request.find(' ')));
  const std::string* answer = it == answers.end() ? nullptr : it->second;
  if (request.starts_with("CLIENT TRACKING ON")) {
    answer = &tracking;
  } else if (request == "CLIENT ID") {
    answer = &client_id;
  } else if (request.starts_with("CLIENT UNBLOCK")) {
    answer = nullptr;  // a client's own
  }
  return answer == nullptr || answer->empty() ? nullptr : answer;
}

bool FakeServer::AnswerOwn(Peer& peer) {
  bool anything = false;
  while (!peer.connection->closed() && !peer.waiting.empty()) {
    const std::string* answer = OwnAnswer(peer.waiting.front().text);
    if (answer == nullptr) {
      break;
    }
    peer.waiting.pop_front();
    peer.connection->Feed(*answer);
    TakeRequests(peer);
    anything = true;
  }
  return anything;
}

std::vector<std::string> FakeServer::Asked() const {
  std::map<std::uint64_t, std::string> by_order;
  for (const Peer& peer : peers_) {
    if (!peer.connection->closed()) {
      for (const Request& request : peer.waiting) {
        by_order.emplace(request.order, request.text);
      }
    }
  }
  std::vector<std::string> asked;
  for (const auto& [order, text] : by_order) {
    asked.push_back(text);
  }
  return asked;
}

std::map<std::uint64_t, std::size_t> FakeServer::PeersWith(std::string_view request) const {
  std::map<std::uint64_t, std::size_t> found;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const Peer& peer = peers_[i];
    const auto waiting = std::ranges::find(peer.waiting, request, &Request::text);
    if (!peer.connection->closed() && waiting != peer.waiting.end()) {
      found.emplace(waiting->order, i);
    }
  }
  return found;
}

FakeServer::Peer& FakeServer::PeerOf(std::string_view request) {
  const auto found = PeersWith(request);
  CAPTURE(std::string(request));
  REQUIRE_FALSE(found.empty());
  return peers_[found.begin()->second];
}

FakeConnection& FakeServer::ConnectionOf(std::string_view request) {
  return *PeerOf(request).connection;
}

std::string FakeServer::PlaceAt(const Peer& peer) const {
  std::size_t index = 0;
  while (&peers_[index] != &peer) {
    ++index;
  }
  return dialer_.endpoint(index).ToString();
}

std::string FakeServer::PlaceOf(std::string_view request) {
  return PlaceAt(PeerOf(request));
}

std::vector<std::string> FakeServer::PlacesOf(std::string_view request) const {
  std::vector<std::string> places;
  for (const auto& [order, index] : PeersWith(request)) {
    places.push_back(PlaceAt(peers_[index]));
  }
  return places;
}

void FakeServer::AnswerPeer(Peer& peer, std::string_view request, std::string_view reply) {
  REQUIRE(peer.waiting.front().text == request);
  peer.waiting.pop_front();
  peer.connection->Feed(reply);
}

void FakeServer::Answer(std::string_view request, std::string_view reply) {
  AnswerPeer(PeerOf(request), request, reply);
}

void FakeServer::AnswerAt(std::string_view place, std::string_view request,
                          std::string_view reply) {
  for (const auto& [order, index] : PeersWith(request)) {
    if (PlaceAt(peers_[index]) == place) {
      AnswerPeer(peers_[index], request, reply);
      return;
    }
  }
  CAPTURE(std::string(place));
  FAIL("nothing like this waits there");
}

FakeConnection& FakeServer::tracking_connection() {
  const auto it = std::find_if(peers_.rbegin(), peers_.rend(), [](const Peer& peer) {
    return peer.tracks && !peer.connection->closed();
  });
  REQUIRE(it != peers_.rend());
  return *it->connection;
}

std::size_t FakeServer::Times(std::string_view request) const {
  return static_cast<std::size_t>(std::count(log_.begin(), log_.end(), request));
}

}  // namespace nearcached
