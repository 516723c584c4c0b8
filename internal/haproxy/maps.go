package haproxy

// The map files, relative to the load balancer's folder. Each is optional in the text ("opt@"), so that it may
// be empty or missing; what is on disk is what a reload reads.
const (
	mapVIPs          = "maps/vips.map"        // destination address → name of the IPAddress
	mapHomes         = "maps/homes.map"       // destination address → slot of its home zone, 0 for none
	mapProxies       = "maps/proxies.map"     // sources whose PROXY header is believed
	mapForwarders    = "maps/forwarders.map"  // sources whose X-Forwarded-For is believed
	mapPaths         = "maps/paths.map"       // site/path prefix/ → route, for sites that need nothing else
	mapLists         = "maps/lists.map"       // source network → the set of access lists it is in
	mapListRoutes    = "maps/listroutes.map"  // site|set of lists → route
	mapExact         = "maps/exact.map"       // site|path → route
	mapPrefixes      = "maps/prefixes.map"    // site/path prefix/ → route, for the other sites
	mapRegexes       = "maps/regexes.map"     // ^site\|path$ → route
	mapUserExact     = "maps/user-exact.map"  // the same three for the Maps that sites use
	mapUserPrefixes  = "maps/user-prefix.map" //
	mapUserRegexes   = "maps/user-regex.map"  //
	mapPools         = "maps/pools.map"       // route@slot → backend
	mapZones         = "maps/zones.map"       // route → the backends of all slots, with colons between
	mapServerTimeout = "maps/t-server.map"    // backend → milliseconds
	mapQueueTimeout  = "maps/t-queue.map"     // backend → milliseconds
	mapCheckPath     = "maps/check-path.map"  // backend → path
	mapCheckHost     = "maps/check-host.map"  // backend → Host
	mapCheckBody     = "maps/check-body.map"  // backend → what the body must hold
	mapPageTypes     = "maps/page-types.map"  // status|site → content type of the site's page
)

// mapFiles are in every configuration, whether they hold anything or not.
var mapFiles = []string{
	mapVIPs, mapHomes, mapProxies, mapForwarders, mapPaths, mapLists, mapListRoutes, mapExact, mapPrefixes,
	mapUserExact, mapUserPrefixes, mapPools, mapZones, mapServerTimeout, mapQueueTimeout,
	mapCheckPath, mapCheckHost, mapCheckBody, mapPageTypes,
}

var orderedMapFiles = []string{mapRegexes, mapUserRegexes}

// opt names a map in the configuration's text.
func opt(path string) string { return "opt@" + path }
