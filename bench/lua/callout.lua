-- Asks the service on each request what the token stands for, and rewrites by what it is told. The cluster
-- adds the gateway's credential.
function envoy_on_request(handle)
    local headers = handle:headers()
    local authorization = headers:get("authorization") or ""
    local token = string.match(authorization, "^Bearer ([%w_.-]+)$")
    local host, path = string.match(headers:get(":path"), "^/proxy/([^/]+)(/.*)$")
    if token == nil or host == nil then
        handle:respond({ [":status"] = "401" }, "")
        return
    end
    local answer, body = handle:httpCall("token_service", {
        [":method"] = "POST",
        [":path"] = "/introspect",
        [":authority"] = "token-service.internal",
        ["content-type"] = "application/x-www-form-urlencoded",
    }, "token=" .. token, 2000)
    -- Lua has no JSON in Envoy. An answer about a token that is not good has no session id.
    local sid = answer[":status"] == "200" and body and string.match(body, '"sid":"(%w+)"')
    if not sid then
        handle:respond({ [":status"] = "401" }, "")
        return
    end
    -- The object from before the call is stale.
    headers = handle:headers()
    headers:replace(":path", path)
    headers:replace(":authority", host)
    headers:replace("sid", sid)
    headers:remove("authorization")
end
