package api

import (
	"net/http"
	"reflect"
	"strings"

	"weir"
	"weir/internal/registrar"
)

// route is one endpoint: what is served, documented and tested is this table.
type route struct {
	method, pattern string
	// id names the operation in the OpenAPI document.
	id, summary string
	// open routes need no credential.
	open bool
	// anyQuery routes take parameters that others add to the query.
	anyQuery bool
	// registrant routes are asked by servers that register themselves, and take their certificates.
	registrant bool
	// itself routes also take the certificate of the very server that is asked about.
	itself bool
	query  []param
	// kind is that of the objects, body what is read: "object", "objects", "inventory", "lines", "exchange", "announcement", "signin", "shift" or nothing.
	kind *weir.Kind
	body string
	// answer and stream are the types of an answer and of a stream's line, nil for a kind's object.
	answer, stream reflect.Type
	// binary says that the answer is bytes.
	binary   bool
	statuses []int
	etags    bool
	// tagged answers carry an ETag of what they say, and are 304 for who has that.
	tagged bool
	handle func(c *call) error
}

var (
	dryRunParam   = param{name: "dryRun", kind: "boolean", doc: "Tell what would happen and leave no trace."}
	reasonParam   = param{name: "reason", kind: "string", doc: "Why; kept with the change."}
	planParam     = param{name: "plan", kind: "boolean", doc: "Add what every load balancer would do."}
	briefParam    = param{name: "brief", kind: "boolean", doc: "Leave objects, and their before and after, out of the answer."}
	deleteParam   = param{name: "delete", kind: "string", many: true, doc: "An object to delete in the same change, as Pool/web-az1. Thousands are sent as the body, one a line, of type " + DeletionsType + "."}
	newParam      = param{name: "new", kind: "string", many: true, doc: "An object of the body that must not be there yet, as Pool/web-az1; nothing is written when it is."}
	watchParam    = param{name: "watch", kind: "boolean", doc: "Stream changes, one JSON value a line."}
	fromParam     = param{name: "from", kind: "integer", doc: "With watch: the revision after which to begin; the present one when left out."}
	waitParam     = param{name: "wait", kind: "integer", doc: "Stream how the fleet comes to this revision, one JSON value a line, until it has."}
	listParams    = []param{{name: "role", kind: "string", doc: "Only objects of this role."}, {name: "labels", kind: "string", doc: "Only objects whose labels match: team=media,tier!=test,new,!old."}, {name: "prefix", kind: "string", doc: "Only objects whose names begin so."}, {name: "limit", kind: "integer", doc: "The most objects on a page; all when left out."}, {name: "continue", kind: "string", doc: "What the page before gave."}, watchParam, fromParam}
	changesParams = []param{{name: "author", kind: "string", doc: "Only changes by this author."}, {name: "kind", kind: "string", doc: "Only changes that wrote objects of this kind."}, {name: "name", kind: "string", doc: "With kind: only changes that wrote this object."}, {name: "before", kind: "integer", doc: "Only changes older than this revision."}, {name: "limit", kind: "integer", doc: "The most changes on a page, 100 when left out, at most 1000; a page of large changes is shorter."}, briefParam, watchParam, fromParam}
)

// routes gives every endpoint, in the order in which the document shows them.
func routes() []*route {
	list := []*route{
		{method: "GET", pattern: "/api/v1/whoami", id: "whoami", summary: "Tell who the credential says I am, and what was granted.", answer: reflect.TypeFor[WhoAmI](), handle: (*call).whoami},
		{method: "GET", pattern: "/api/v1/session", id: "session", summary: "Tell whether somebody is signed in with this browser, and the ways to sign in.", open: true, answer: reflect.TypeFor[SessionAnswer](), handle: (*call).session},
		{method: "POST", pattern: "/api/v1/session", id: "signIn", summary: "Exchange a token for a session, which the browser is given a cookie of.", open: true, body: "signin", statuses: []int{http.StatusNoContent}, handle: (*call).signIn},
		{method: "DELETE", pattern: "/api/v1/session", id: "signOut", summary: "End the session of this browser.", open: true, statuses: []int{http.StatusNoContent}, handle: (*call).signOut},
		{method: "GET", pattern: "/signin/{provider}", id: "toProvider", summary: "Send a browser to an identity provider.", open: true, query: []param{toParam}, statuses: []int{http.StatusFound}, handle: (*call).toProvider},
		{method: "GET", pattern: "/signin/{provider}/callback", id: "fromProvider", summary: "Let somebody in who comes back from an identity provider.", open: true, anyQuery: true, statuses: []int{http.StatusFound}, handle: (*call).fromProvider},
		{method: "POST", pattern: "/api/v1/apply", id: "apply", summary: "Make many objects, and deletions, one atomic change.", body: "objects", query: []param{dryRunParam, reasonParam, planParam, briefParam, deleteParam, newParam}, answer: reflect.TypeFor[ApplyAnswer](), handle: (*call).applyMany},
		{method: "POST", pattern: "/api/v1/plan", id: "plan", summary: "Tell what apply would do, load balancer by load balancer, and leave no trace.", body: "objects", query: []param{deleteParam, newParam}, answer: reflect.TypeFor[ApplyAnswer](), handle: (*call).plan},
		{method: "POST", pattern: "/api/v1/inventory", id: "inventory", summary: "Make a list of servers, as a CMDB exports it, one atomic change.", body: "inventory", query: []param{replaceParam, zoneParam, removeParam, dryRunParam, reasonParam, planParam, briefParam}, answer: reflect.TypeFor[InventoryAnswer](), handle: (*call).inventory},
		{method: "GET", pattern: "/api/v1/changes", id: "listChanges", summary: "List changes, the newest first, or stream them.", query: changesParams, answer: reflect.TypeFor[ChangeList](), stream: reflect.TypeFor[WatchLine](), handle: (*call).changes},
		{method: "GET", pattern: "/api/v1/changes/{revision}", id: "getChange", summary: "Read one change.", answer: reflect.TypeFor[ChangeRecord](), handle: (*call).change},
		{method: "POST", pattern: "/api/v1/changes/{revision}/undo", id: "undoChange", summary: "Take a change back, as a new change.", query: []param{dryRunParam, reasonParam, planParam}, answer: reflect.TypeFor[ApplyAnswer](), handle: (*call).undo},
		{method: "GET", pattern: "/api/v1/status", id: "status", summary: "Tell the state of the fleet, or stream how it comes to a revision.", query: []param{waitParam}, answer: reflect.TypeFor[FleetStatus](), stream: reflect.TypeFor[ProgressLine](), handle: (*call).status},
		{method: "GET", pattern: "/api/v1/explain", id: "explain", summary: "Tell what a load balancer does with a request, decision by decision, with the object that made each.", query: explainParams, answer: reflect.TypeFor[Explanation](), handle: (*call).explain},
		{method: "POST", pattern: "/api/v1/backup", id: "backup", summary: "Make a backup, encrypted to recipients.", query: []param{recipientParam}, binary: true, handle: (*call).backup},
		{method: "GET", pattern: "/api/v1/restore/plan", id: "restorePlan", summary: "Tell what load balancers would do if the restore were accepted, from what each really has.", answer: reflect.TypeFor[RestorePlan](), handle: (*call).restorePlan},
		{method: "POST", pattern: "/api/v1/restore/accept", id: "acceptRestore", summary: "Let a control plane go that is held since its restore.", query: []param{reasonParam}, answer: reflect.TypeFor[Restored](), handle: (*call).acceptRestore},
		{method: "GET", pattern: "/api/v1/counts", id: "counts", summary: "Tell what the access logs counted, by site.", answer: reflect.TypeFor[SiteCountsAnswer](), handle: (*call).counts},
		{method: "GET", pattern: "/api/v1/ca", id: "ca", summary: "Tell which CAs are believed, and who follows the newest.", answer: reflect.TypeFor[CAStatus](), handle: (*call).caStatus},
		{method: "POST", pattern: "/api/v1/ca/rotate", id: "rotateCA", summary: "Take a step of a change of CA.", query: []param{stepParam, forceParam, reasonParam}, answer: reflect.TypeFor[CAChange](), handle: (*call).changeCA},
		{method: "GET", pattern: "/api/v1/store", id: "store", summary: "Tell which servers run, and which members an embedded store has.", answer: reflect.TypeFor[StoreStatus](), handle: (*call).storeStatus},
		{method: "DELETE", pattern: "/api/v1/store/members/{name}", id: "removeMember", summary: "Take a member out of an embedded store for good.", query: []param{reasonParam}, answer: reflect.TypeFor[StoreStatus](), handle: (*call).removeMember},
		{method: "POST", pattern: "/api/v1/registrations", id: "exchangeToken", summary: "Give a server a certificate for its registration token, with which it registers.", open: true, body: "exchange", answer: reflect.TypeFor[registrar.Identity](), handle: (*call).exchange},
		{method: "POST", pattern: "/api/v1/registrations/{name}/renew", id: "renewRegistrant", summary: "Give a server another certificate for the one that it shows.", registrant: true, body: "exchange", answer: reflect.TypeFor[registrar.Identity](), handle: (*call).renewRegistrant},
		{method: "PUT", pattern: "/api/v1/registrations/{name}", id: "register", summary: "Register, as the server of this name, or say that nothing has changed, which keeps the registration alive.", registrant: true, body: "announcement", answer: reflect.TypeFor[registrar.Answer](), handle: (*call).register},
		{method: "DELETE", pattern: "/api/v1/registrations/{name}", id: "unregister", summary: "End one's registration, as the server of this name: it takes no more traffic.", registrant: true, query: []param{reasonParam}, answer: reflect.TypeFor[registrar.Answer](), handle: (*call).unregister},
		{method: "GET", pattern: "/openapi.json", id: "openapi", summary: "Describe this API.", open: true, handle: (*call).openapi},
	}
	list = append(list, seriesRoutes()...)
	list = append(list, viewRoutes()...)
	for _, kind := range weir.Kinds() {
		if !kind.ReadOnly {
			list = append(append(list, routesOf(kind)...), viewRoutesOf(kind)...)
		}
	}
	return list
}

func routesOf(kind weir.Kind) []*route {
	of := func(f func(*call, weir.Kind) error) func(*call) error {
		return func(c *call) error { return f(c, kind) }
	}
	many := "/api/v1/" + kind.Plural
	one := many + "/{name}"
	title := kind.Name
	list := []*route{
		{method: "GET", pattern: many, id: "list" + title, summary: "List the objects of kind " + title + ", or stream their changes.", kind: &kind, query: listParams, answer: reflect.TypeFor[ObjectList](), stream: reflect.TypeFor[WatchLine](), handle: of((*call).list)},
		{method: "GET", pattern: one, id: "get" + title, summary: "Read one object of kind " + title + ".", kind: &kind, etags: true, handle: of((*call).get)},
		{method: "PUT", pattern: one, id: "put" + title, summary: "Make or replace one object of kind " + title + ".", kind: &kind, etags: true, body: "object", query: []param{dryRunParam, reasonParam}, statuses: []int{http.StatusCreated}, handle: of((*call).put)},
		{method: "DELETE", pattern: one, id: "delete" + title, summary: "Delete one object of kind " + title + ".", kind: &kind, etags: true, query: []param{dryRunParam, reasonParam}, answer: reflect.TypeFor[ApplyAnswer](), handle: of((*call).remove)},
	}
	switch kind.Name {
	case "Token":
		list = append(list, &route{method: "POST", pattern: many, id: "makeToken", summary: "Make a token; its text is in this answer and nowhere else.", kind: &kind, body: "object", query: []param{reasonParam}, answer: reflect.TypeFor[TokenAnswer](), statuses: []int{http.StatusCreated}, handle: of((*call).makeToken)})
	case "LoadBalancer":
		list = append(list, &route{method: "GET", pattern: one + "/render", id: "render", summary: "Show the files that a load balancer is to have, without any secret.", kind: &kind, answer: reflect.TypeFor[RenderAnswer](), handle: func(c *call) error { return c.render() }})
	case "LoadBalancerGroup":
		list = append(list,
			&route{method: "GET", pattern: one + "/waves", id: "waves", summary: "Tell how far changes have come that go through a group in waves.", kind: &kind, answer: reflect.TypeFor[WaveStatus](), handle: of((*call).waves)},
			&route{method: "POST", pattern: one + "/waves", id: "steerWaves", summary: "Stop the wave of a group, send it back, let it go on, or finish it at once.", kind: &kind, query: []param{{name: "action", kind: "string", doc: "stop, back, go or finish."}, reasonParam}, answer: reflect.TypeFor[WaveStatus](), handle: of((*call).steerWaves)},
			&route{method: "GET", pattern: one + "/ticketkeys", id: "ticketKeys", summary: "Tell how the keys of TLS session tickets are that a group's load balancers share.", kind: &kind, answer: reflect.TypeFor[TicketKeysStatus](), handle: of((*call).ticketKeys)},
			&route{method: "POST", pattern: one + "/ticketkeys", id: "renewTicketKeys", summary: "Change all keys of TLS session tickets of a group as fast as its load balancers follow.", kind: &kind, query: []param{reasonParam}, answer: reflect.TypeFor[TicketKeysStatus](), handle: of((*call).renewTicketKeys)})
	case "DiscoverySource":
		list = append(list, &route{method: "POST", pattern: one + "/confirm", id: "confirmSource", summary: "Confirm that the servers are gone that a source has lost and that are kept, so that they are drained.", kind: &kind, query: []param{doubtParam, reasonParam}, answer: reflect.TypeFor[weir.SourceStatus](), handle: of((*call).confirmSource)})
	case "Server":
		list = append(list, &route{method: "GET", pattern: one + "/pools", id: "serverPools", summary: "Tell the pools that a server is in, and what it is there.", kind: &kind, itself: true, answer: reflect.TypeFor[ServerPools](), handle: of((*call).serverPools)})
		list = append(list, &route{method: "GET", pattern: one + "/checks", id: "serverChecks", summary: "Tell the health check log of a server: how its health changed on each load balancer, the newest first.", kind: &kind, answer: reflect.TypeFor[ServerChecks](), handle: of((*call).serverChecks)})
	case "Pool":
		list = append(list,
			&route{method: "POST", pattern: many + "/preview", id: "previewPool", summary: "Tell who would be in a pool, and why other servers of the role would not; the pool need not be there.", kind: &kind, body: "object", query: []param{othersParam}, answer: reflect.TypeFor[PoolPreview](), handle: of((*call).previewPool)},
			&route{method: "POST", pattern: many + "/try", id: "tryPool", summary: "Let a load balancer run a pool's health check once against its servers, before the pool is saved.", kind: &kind, body: "object", query: tryParams, answer: reflect.TypeFor[TryAnswer](), handle: of((*call).tryPool)},
			&route{method: "GET", pattern: one + "/preview", id: "previewNamedPool", summary: "Tell who is in a pool, and why other servers of the role are not.", kind: &kind, query: []param{othersParam}, answer: reflect.TypeFor[PoolPreview](), handle: of((*call).previewNamed)})
		list = append(list, &route{method: "GET", pattern: one + "/health", id: "poolHealth", summary: "Tell what the health checks see of a pool's servers.", kind: &kind, answer: reflect.TypeFor[PoolHealth](), handle: of((*call).health)})
	case "EgressClient":
		list = append(list, &route{method: "GET", pattern: one + "/calls", id: "egressCalls", summary: "Tell what an application may call of partners, and by which addresses.", kind: &kind, query: egressCallsParams, tagged: true, answer: reflect.TypeFor[EgressCallsAnswer](), handle: of((*call).egressCalls)})
		list = append(list, &route{method: "GET", pattern: one + "/url", id: "egressURL", summary: "Compose one call of an application to a partner: its address by each way out, with programs that make it.", kind: &kind, query: egressURLParams, answer: reflect.TypeFor[EgressURLAnswer](), handle: of((*call).egressURL)})
	case "AccessList", "Map":
		list = append(list, listRoutes(one, kind)...)
	case "Site":
		list = append(list, &route{method: "POST", pattern: many + "/preview", id: "previewSite", summary: "Tell in which order requests are held against a site's routes, with those that Routes add; the site need not be there.", kind: &kind, body: "object", answer: reflect.TypeFor[SitePreview](), handle: of((*call).previewSite)})
		list = append(list, &route{method: "GET", pattern: one + "/counts", id: "siteCounts", summary: "Tell what the access logs counted for a site.", kind: &kind, answer: reflect.TypeFor[SiteCounts](), handle: of((*call).siteCounts)})
		list = append(list, &route{method: "GET", pattern: one + "/log", id: "siteLog", summary: "Stream the lines of a site's log from all its load balancers, one JSON value a line: the recent ones, then each as it comes.", kind: &kind, query: logParams, stream: reflect.TypeFor[LogStreamLine](), handle: of((*call).siteLog)})
	}
	return list
}

// elsewhere answers what no route takes: another method, or no such thing.
func (h *Handler) elsewhere() http.Handler {
	rt := &route{pattern: "elsewhere", open: true}
	rt.handle = func(c *call) error {
		var allowed []string
		for _, method := range []string{"DELETE", "GET", "POST", "PUT"} {
			probe := c.r.Clone(c.r.Context())
			probe.Method = method
			if _, pattern := h.mux.Handler(probe); strings.HasPrefix(pattern, method+" ") {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			return weir.Errorf(noRoute, "nothing is served at this address; /openapi.json lists what is")
		}
		c.w.Header().Set("Allow", strings.Join(allowed, ", "))
		return weir.Errorf(wrongMethod, "this address takes %s", strings.Join(allowed, ", "))
	}
	return h.serve(rt)
}
