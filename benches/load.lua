-- What wrk sends, and what it says at the end. Without an option it sends the same request again and again.
-- Options come after `--` as NAME=VALUE; what takes the place of VARIABLE in the request differs with them:
--
--   fresh=PREFIX      PREFIX-1, PREFIX-2, …: never the same twice
--   each=COUNT        known-1 to known-COUNT, each once; then it stops
--   any=COUNT         one of known-1 to known-COUNT, at random
--   lines=FILE        the lines of a file, each once; then it stops
--   skip=COUNT        … without the first of them
--   only=COUNT        … and no more than so many
--   pause=LEAST,MOST  every connection waits so many milliseconds before its next request

local VARIABLE = "@@@"

local function read(options)
   local lines, number = {}, 0
   local skip = tonumber(options.skip or 0)
   local last = options.only and skip + tonumber(options.only) or math.huge
   for line in io.lines(options.lines) do
      number = number + 1
      if number > skip and number <= last then lines[#lines + 1] = line end
   end
   return lines
end

-- The values one after the other. wrk has no end but that of its time, so whoever started it is told to interrupt it.
local function once(count, value)
   local number = 0
   return function()
      if number == count then
         io.write("finished\n")
         io.flush()
         wrk.thread:stop()
      else
         number = number + 1
      end
      return value(number)
   end
end

local function known(number) return "known-" .. number end

local function values(options)
   if options.fresh then
      local number = 0
      return function()
         number = number + 1
         return options.fresh .. "-" .. number
      end
   elseif options.each then
      return once(tonumber(options.each), known)
   elseif options.any then
      local count = tonumber(options.any)
      return function() return known(math.random(count)) end
   elseif options.lines then
      local lines = read(options)
      return once(#lines, function(number) return lines[number] end)
   end
end

function init(args)
   local options = {}
   for _, arg in ipairs(args) do
      local name, value = arg:match("^(%w+)=(.*)$")
      if name then options[name] = value end
   end
   math.randomseed(1)
   local value = values(options)
   if value then
      -- Formatting a whole request anew each time would make the load generator the slower side.
      local whole = wrk.format()
      local first, last = whole:find(VARIABLE, 1, true)
      local before, after = whole:sub(1, first - 1), whole:sub(last + 1)
      request = function() return before .. value() .. after end
   end
   if options.pause then
      local least, most = options.pause:match("^(%d+),(%d+)$")
      delay = function() return math.random(tonumber(least), tonumber(most)) end
   end
end

function done(summary, latency)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   local numbers = { summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed }
   io.write("measured ", table.concat(numbers, " "), "\n")
end
