-- Asks once a token and worker, and keeps the answer for a minute in a table that nothing bounds.
local sessions = {}

function envoy_on_request(handle)
    local headers = handle:headers()
    local authorization = headers:get("authorization")
    local host, path = string.match(headers:get(":path"), "^/proxy/([^/]+)(/.*)$")
    if authorization == nil or host == nil then
        handle:respond({ [":status"] = "401" }, "")
        return
    end
    local session = sessions[authorization]
    local now = os.time()
    if session == nil or session.expires < now then
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
        session = { sid = answer["sid"], expires = now + 60 }
        sessions[authorization] = session
    end
    headers:replace(":path", path)
    headers:replace(":authority", host)
    headers:replace("sid", session.sid)
    headers:remove("authorization")
end
