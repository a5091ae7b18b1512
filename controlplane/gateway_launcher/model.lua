-- Reads which model a gRPC call means, and has its route looked for again with that name.
--
-- The message is a frame of one byte (compressed or not) and four (its length), then protobuf. In
-- each of the three calls field 1 is the model's name and field 2 its version. Writers put them
-- first; whoever does not is read as far as MOST_FIELDS.

local FRAME = 5
local MOST_FIELDS = 100
local LONGEST_NAME = 255

local function refuse(handle, status, grpc_status, sentence)
  handle:respond({[":status"] = status, ["grpc-status"] = grpc_status}, sentence)
end

-- A varint at `at`, and where it ends; nil if there is none.
local function varint(body, at, size)
  local value, scale = 0, 1
  for index = at, math.min(at + 9, size - 1) do
    local byte = body:getBytes(index, 1):byte()
    if byte < 128 then
      return value + byte * scale, index + 1
    end
    value = value + (byte - 128) * scale
    scale = scale * 128
  end
  return nil
end

-- Name and version, which may be missing.
local function read(body, size)
  local found = {}
  local at = FRAME
  for _ = 1, MOST_FIELDS do
    local tag, value_at, length
    tag, value_at = varint(body, at, size)
    if tag == nil then
      break
    end
    local field, kind = math.floor(tag / 8), tag % 8
    if kind == 0 then
      tag, at = varint(body, value_at, size)
      if tag == nil then
        break
      end
    elseif kind == 1 then
      at = value_at + 8
    elseif kind == 2 then
      length, value_at = varint(body, value_at, size)
      if length == nil or value_at + length > size then
        break
      end
      if field <= 2 and length <= LONGEST_NAME then
        found[field] = length > 0 and body:getBytes(value_at, length) or ""
      end
      at = value_at + length
      -- The first two are what the writers of the world put first.
      if field >= 2 and found[1] then
        break
      end
    elseif kind == 5 then
      at = value_at + 4
    else
      break
    end
  end
  return found[1] or "", found[2] or ""
end

function envoy_on_request(handle)
  local body = handle:body()
  local size = body and body:length() or 0
  if size < FRAME then
    return refuse(handle, "400", "3", "the call has no message")
  end
  local compressed, a, b, c, d = body:getBytes(0, FRAME):byte(1, FRAME)
  if compressed ~= 0 then
    handle:respond({
      [":status"] = "415", ["grpc-status"] = "12", ["grpc-accept-encoding"] = "identity",
    }, "compressed messages are not read here: send them as they are")
    return
  end
  -- A replica would wait for what was announced and cannot come any more.
  if ((a * 256 + b) * 256 + c) * 256 + d ~= size - FRAME then
    return refuse(handle, "400", "3", "the call has one message, as long as it says")
  end
  local name, version = read(body, size)
  if name:find("[^%w%._%-]") or version:find("[^%w%._%-]") then
    name, version = "", ""
  end
  local headers = handle:headers()
  headers:replace("x-slipway-model", name)
  if version ~= "" then
    headers:replace("x-slipway-version", version)
  end
  handle:clearRouteCache()
  local route = handle:metadata()
  local most = route and route:get("most_bytes")
  if most and size > most then
    refuse(handle, "413", "8", "the message is larger than the endpoint takes")
  end
end
