package haproxy

import (
	"fmt"
	"strings"

	"weir"
)

// The map files, relative to the load balancer's folder. Each is optional in the text ("opt@"), so that it may
// be empty or missing; what is on disk is what a reload reads.
const (
	mapVIPs          = "maps/vips.map"          // destination address → name of the IPAddress
	mapProxies       = "maps/proxies.map"       // sources whose PROXY header is believed
	mapForwarders    = "maps/forwarders.map"    // sources whose X-Forwarded-For is believed
	mapLists         = "maps/lists.map"         // source network → the set of access lists it is in
	mapListRoutes    = "maps/listroutes.map"    // site|set of lists → route
	mapExact         = "maps/exact.map"         // site|path → route
	mapPrefixes      = "maps/prefixes.map"      // site/path prefix/ → route
	mapRegexes       = "maps/regexes.map"       // ^site\|path$ → route
	mapUserExact     = "maps/user-exact.map"    // the same three for the Maps that sites use
	mapUserPrefixes  = "maps/user-prefix.map"   //
	mapUserRegexes   = "maps/user-regex.map"    //
	mapPools         = "maps/pools.map"         // route@IPAddress → backend of the address's home zone
	mapZones         = "maps/zones.map"         // route → the backends of all slots, with colons between
	mapServerTimeout = "maps/t-server.map"      // backend → milliseconds
	mapQueueTimeout  = "maps/t-queue.map"       // backend → milliseconds
	mapCheckPath     = "maps/check-path.map"    // backend → path
	mapCheckHost     = "maps/check-host.map"    // backend → Host, or the name said to SMTP servers
	mapCheckHello    = "maps/check-hello.map"   // backend → the first message of a session with PostgreSQL, hexadecimal
	mapCheckBody     = "maps/check-body.map"    // backend → what the body must hold
	mapPageTypes     = "maps/page-types.map"    // status|site/ → content type of the site's page
	mapNormal        = "maps/normal.map"        // site → 1 where paths are brought into their normal form
	mapPrograms      = "maps/programs.map"      // site → its routes with several conditions, see conditions
	mapMembers       = "maps/in-lists.map"      // set of access lists → those of them that routes with several conditions name
	mapHolders       = "maps/holders.map"       // set of lists of strings → those of them that routes hold values against
	mapTested        = "maps/fields.map"        // site → the fields that its routes with several conditions hold regexes against
	mapMatcher       = "maps/matcher.map"       // what finds the first route of a program that a request satisfies
	mapOutcomes      = "maps/outcomes.map"      // route that is more than a backend → what is done, see outcome
	mapSiteLimits    = "maps/site-limits.map"   // site → its rate limits, with colons between
	mapLimits        = "maps/limits.map"        // rate limit|digits of an address|set of lists/ → what it counts, and its levels
	mapLimitPages    = "maps/limit-pages.map"   // status~rate limit → page, base64
	mapLimitTimes    = "maps/limit-times.map"   // rate limit|schedules that hold → what its levels are found by then
	mapLog           = "maps/log.map"           // site → what is done with which headers: ,q:NAME,,s:NAME,,x:NAME, (captured of requests, of responses, stripped)
	mapStrip         = "maps/strip.map"         // site → the headers that are stripped, as del-headers-bin takes them, base64
	mapClosed        = "maps/closed.map"        // site in maintenance, or site|schedules that hold → status:seconds until clients are to come back
	mapClosedExcept  = "maps/closed-except.map" // site|set of lists → 1, for whom it goes on
	mapClosedPages   = "maps/closed-pages.map"  // site → page, base64
	mapChallenges    = "maps/challenges.map"    // path of an http-01 challenge → its answer
)

// mapFiles are in every configuration, whether they hold anything or not.
var mapFiles = []string{
	mapVIPs, mapProxies, mapForwarders, mapListRoutes, mapExact, mapPrefixes,
	mapPools, mapZones, mapServerTimeout, mapQueueTimeout,
	mapCheckPath, mapCheckHost, mapCheckHello, mapCheckBody, mapPageTypes, mapChallenges, mapLog, mapStrip, mapClosed, mapClosedExcept, mapClosedPages,
	mapNormal, mapRoutePages, mapRequestDel, mapRequestAdd, mapResponseDel, mapResponseAdd, mapOutcomes, mapPrograms, mapMembers, mapHolders, mapTested, // of routes
}

var orderedMapFiles = []string{mapRegexes, mapUserRegexes, mapMatcher, mapTests(1), mapTests(2), mapTests(3), mapTests(4)}

// opt names a map in the configuration's text.
func opt(path string) string { return "opt@" + path }

// mapHosts is the map of a port: host|IPAddress → site, or IPAddress → site for tcp.
func mapHosts(p weir.Port) string { return fmt.Sprintf("maps/hosts-%d.map", p) }

// mapPaths is the map of a port by which most requests go: host/path prefix/ → route, see shortWay.
func mapPaths(p weir.Port) string { return fmt.Sprintf("maps/paths-%d.map", p) }

// mapRedirects is the map of a port: !site → the port to send clients to.
func mapRedirects(p weir.Port) string { return fmt.Sprintf("maps/redirects-%d.map", p) }

// mapHSTS is the map of a port: site → what Strict-Transport-Security says.
func mapHSTS(p weir.Port) string { return fmt.Sprintf("maps/hsts-%d.map", p) }

// mapEarly is the map of a port: site → 1 where requests may come before the handshake is over.
func mapEarly(p weir.Port) string { return fmt.Sprintf("maps/early-%d.map", p) }

// mapHTTP3 is the map of a port: site → the header Alt-Svc where it answers HTTP/3.
func mapHTTP3(p weir.Port) string { return fmt.Sprintf("maps/http3-%d.map", p) }

// mapPages is the map of a status: site → page, base64.
func mapPages(status weir.Status3) string { return fmt.Sprintf("maps/page-%d.map", status) }

// mapStrings is the map of all lists of strings of one way: string → the set of lists that cover it.
func mapStrings(match string, lower bool) string {
	if lower {
		match += "-lower"
	}
	return "maps/strings-" + match + ".map"
}

// stringMaps are the ways of lists that are looked up at once.
var stringMaps = []struct {
	match string
	lower bool
}{{weir.MatchExact, false}, {weir.MatchExact, true}, {weir.MatchPrefix, false}, {weir.MatchPrefix, true}}

// mapWords is the map of a list whose words are looked for one by one: word → the list.
func mapWords(list string) string { return "maps/words-" + list + ".map" }

// OfClients says that a map's keys are what requests are held against, as addresses of clients: no value of another map
// leads to one of them.
func OfClients(path string) bool {
	return path == mapLists || strings.HasPrefix(path, "maps/strings-") || strings.HasPrefix(path, "maps/words-")
}

// OfLogic says that a map is one that logic looks up: nothing leads to its keys, and its values lead to nothing.
func OfLogic(path string) bool { return strings.HasPrefix(path, ofLogic) && path != mapLogic }

// OfRegexes says that a map's keys are regexes that people have written.
func OfRegexes(path string) bool {
	return path == mapRegexes || path == mapUserRegexes || strings.HasPrefix(path, fieldTests) || strings.HasPrefix(path, regexesOfLogic)
}
