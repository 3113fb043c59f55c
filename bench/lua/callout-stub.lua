-- Asks a stub on each request, which only looks the token up, and rewrites by what it is told.
function envoy_on_request(handle)
    local headers = handle:headers()
    local authorization = headers:get("authorization")
    local host, path = string.match(headers:get(":path"), "^/proxy/([^/]+)(/.*)$")
    if authorization == nil or host == nil then
        handle:respond({ [":status"] = "401" }, "")
        return
    end
    local answer = handle:httpCall("authorization", {
        [":method"] = "GET",
        [":path"] = "/",
        [":authority"] = "authorization",
        ["authorization"] = authorization,
    }, "", 2000)
    if answer[":status"] ~= "200" or answer["sid"] == nil then
        handle:respond({ [":status"] = "401" }, "")
        return
    end
    -- The object from before the call is stale.
    headers = handle:headers()
    headers:replace(":path", path)
    headers:replace(":authority", host)
    headers:replace("sid", answer["sid"])
    headers:remove("authorization")
end
