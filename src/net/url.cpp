#include "net/url.hpp"

#include <curl/urlapi.h>

#include <memory>

namespace mp::net {
namespace {

std::string default_port(std::string_view scheme) { return scheme == "wss" || scheme == "https" ? "443" : "80"; }

std::string part(CURLU* url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, 0) != CURLUE_OK) return {};
  std::string value(text);
  curl_free(text);
  return value;
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
  const Error bad{Errc::usage, "address",
                  std::string(text) + " (expected ws://, wss://, http:// or https:// and a host)"};
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), curl_url_cleanup);
  const std::string whole(text);
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, whole.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    return bad;
  Url url;
  url.scheme = part(parsed.get(), CURLUPART_SCHEME);
  if (url.scheme != "ws" && url.scheme != "wss" && url.scheme != "http" && url.scheme != "https") return bad;
  url.host = part(parsed.get(), CURLUPART_HOST);
  if (url.host.size() > 2 && url.host.front() == '[') url.host = url.host.substr(1, url.host.size() - 2);
  if (url.host.empty()) return bad;
  url.port = part(parsed.get(), CURLUPART_PORT);
  if (url.port.empty()) url.port = default_port(url.scheme);
  url.target = part(parsed.get(), CURLUPART_PATH);
  if (url.target.empty()) url.target = "/";
  const auto query = part(parsed.get(), CURLUPART_QUERY);
  if (!query.empty()) url.target += "?" + query;
  return url;
}

}  // namespace mp::net
