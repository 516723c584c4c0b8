package api

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"weir"
)

// endpointRow is one route with a request that succeeds, and who gets what. Statuses are in the order of askers.
type endpointRow struct {
	path, body string
	want       string
	media      string // of the body; YAML when empty
}

// askers are those who try every endpoint: without credential, with a bad one, and one for each right.
var askers = []string{"", "Bearer nonsense", "nobody", "viewer", "operator", "owner", "other", "auditor", "admin"}

// Who gets what, by the order of askers. Everything is refused to strangers.
const (
	anybody      = "200 200 200 200 200 200 200 200 200"
	signedIn     = "401 401 200 200 200 200 200 200 200"
	filtered     = signedIn // what they may not see is left out
	granted      = "401 401 403 200 200 200 200 200 200"
	webReaders   = "401 401 403 200 200 200 403 200 200"
	webOperators = "401 401 403 403 200 200 403 403 200"
	webOwners    = "401 401 403 403 403 200 403 403 200"
	allReaders   = "401 401 403 403 403 403 403 200 200"
	admins       = "401 401 403 403 403 403 403 403 200"
	itself       = "401 401 401 401 401 401 401 401 401" // a server's certificate is asked for
	nothing      = "204 204 204 204 204 204 204 204 204"
	noToken      = "401 401 401 401 401 401 401 401 401" // what is exchanged is in the body
	toPage       = "404 404 404 404 404 404 404 404 404" // the page that says why is the console's
	makers       = "401 401 403 403 403 403 403 403 201"
)

func manifest(kind, name, rest string) string {
	return fmt.Sprintf("kind: %s\nmetadata: {name: %s%s", kind, name, rest)
}

// kindRow is what the endpoint table needs of a kind: an object that is there, and its manifest to write again.
type kindRow struct {
	name, body   string
	read, write  string
	needsWriting bool // it is not in the seed
}

const roleWeb = ", role: web}\n"

var kindTable = map[string]kindRow{
	"Zone":              {name: "az1", body: manifest("Zone", "az1", "}"), read: granted, write: admins},
	"Tuning":            {name: "big", body: manifest("Tuning", "big", "}"), read: granted, write: admins},
	"LoadBalancerGroup": {name: "edge", body: manifest("LoadBalancerGroup", "edge", "}\nspec: {ranges: [203.0.113.0/28]}"), read: granted, write: admins},
	"LoadBalancer":      {name: "lb1", body: manifest("LoadBalancer", "lb1", "}\nspec: {group: edge, zone: az1}"), read: granted, write: admins},
	"Role":              {name: "web", body: manifest("Role", "web", "}"), read: granted, write: admins},
	"IdentityProvider":  {name: "corp", body: manifest("IdentityProvider", "corp", "}\nspec: {issuer: https://login.example.com, clientID: weir}"), read: granted, write: admins, needsWriting: true},
	"Grant":             {name: "g-owner", body: manifest("Grant", "g-owner", "}\nspec: {subject: owner, role: web, right: owner}"), read: "401 401 403 403 403 200 403 200 200", write: admins},
	"Token":             {name: "t-owner", body: manifest("Token", "t-owner", "}\nspec: {subject: owner}"), read: "401 401 403 403 403 200 403 200 200", write: admins},
	"Secret":            {name: "key-web", body: manifest("Secret", "key-web", roleWeb+"spec: {data: canary-secret-web}"), read: webReaders, write: webOwners},
	"IPAddress":         {name: "vip1", body: manifest("IPAddress", "vip1", roleWeb+"spec: {address: 203.0.113.1, groups: [edge]}"), read: webReaders, write: webOwners},
	"Issuer":            {name: "inside", body: manifest("Issuer", "inside", "}\nspec: {type: ca, ca: {commonName: Inside}}"), read: granted, write: admins, needsWriting: true},
	"Certificate":       {name: "ca", body: manifest("Certificate", "ca", roleWeb+"spec: {chain: \""+strings.ReplaceAll(authority, "\n", `\n`)+"\"}"), read: webReaders, write: webOwners, needsWriting: true},
	"ErrorPage":         {name: "page", body: manifest("ErrorPage", "page", roleWeb+"spec: {body: sorry}"), read: webReaders, write: webOwners, needsWriting: true},
	"AccessList":        {name: "list", body: manifest("AccessList", "list", roleWeb+"spec: {networks: [192.0.2.0/24], strings: {match: exact, entries: [a]}}"), read: webReaders, write: webOwners, needsWriting: true},
	"RateLimit":         {name: "limit", body: manifest("RateLimit", "limit", roleWeb+"spec: {count: requests, period: 10s, soft: {above: 5}}"), read: webReaders, write: webOwners, needsWriting: true},
	"Logic":             {name: "logic", body: manifest("Logic", "logic", roleWeb+"spec: {text: http-request deny}"), read: webReaders, write: webOwners, needsWriting: true},
	"Map":               {name: "map", body: manifest("Map", "map", roleWeb+"spec: {match: exact, entries: [{key: /a, value: b}]}"), read: webReaders, write: webOwners, needsWriting: true},
	"DiscoverySource":   {name: "source", body: manifest("DiscoverySource", "source", "}\nspec: {file: {path: web.json}, role: web, server: {zone: az1}}"), read: granted, write: admins, needsWriting: true},
	"Server":            {name: "srv", body: manifest("Server", "srv", roleWeb+"spec: {address: 10.0.0.7, zone: az1}"), read: webReaders, write: webOwners, needsWriting: true},
	"Pool":              {name: "web", body: manifest("Pool", "web", ", role: web, labels: {tier: front}}\nspec: {members: [{name: a, address: 10.0.0.1, port: 80}]}"), read: webReaders, write: webOwners},
	"Site":              {name: "www", body: manifest("Site", "www", roleWeb+"spec: {hostnames: [www.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: web, green: web}}"), read: webReaders, write: webOwners},
	"Split":             {name: "d", body: manifest("Split", "d", roleWeb+"spec: {site: www, legs: [{backend: default, weight: 9}, {backend: green, weight: 1}]}"), read: webReaders, write: webOwners, needsWriting: true},
	"Schedule":          {name: "t", body: manifest("Schedule", "t", roleWeb+"spec: {until: 2100-01-01T00:00:00Z, reason: test}"), read: webReaders, write: webOwners, needsWriting: true},
	"EgressClient":      {name: "myback", body: manifest("EgressClient", "myback", roleWeb+"spec: {environment: prod, sources: [10.1.0.0/16]}"), read: webReaders, write: webOwners, needsWriting: true},
	"Partner":           {name: "example", body: manifest("Partner", "example", roleWeb+"spec: {endpoints: [{environment: prod, service: www, host: www.example.com, addresses: [192.0.2.1]}]}"), read: webReaders, write: webOwners, needsWriting: true},
	"SLA":               {name: "high", body: manifest("SLA", "high", roleWeb+"spec: {server: 10s}"), read: webReaders, write: webOwners, needsWriting: true},
	"EgressRule":        {name: "calls", body: manifest("EgressRule", "calls", roleWeb+"spec: {clients: [myback], partner: example, slas: [high]}"), read: webReaders, write: webOwners, needsWriting: true},
	"Route":             {name: "r", body: manifest("Route", "r", roleWeb+"spec: {site: www, match: {path: {prefix: /r}}, action: {deny: 403}}"), read: webReaders, write: webOwners, needsWriting: true},
	"Override":          {name: "o", body: manifest("Override", "o", roleWeb+"spec: {server: a, pool: web, state: drain, reason: test, expiresAt: 2100-01-01T00:00:00Z}"), read: webReaders, write: webOperators, needsWriting: true},
	"ZoneShift":         {name: "z", body: manifest("ZoneShift", "z", roleWeb+"spec: {sites: [www], zone: az1, reason: test, expiresAt: 2100-01-01T00:00:00Z}"), read: webReaders, write: webOperators, needsWriting: true},
}

// endpointTable has every route, by its method and pattern; one that is missing fails.
func endpointTable() map[string]endpointRow {
	site := kindTable["Site"].body
	table := map[string]endpointRow{
		"GET /openapi.json":                                 {path: "/openapi.json", want: anybody},
		"GET /api/v1/whoami":                                {path: "/api/v1/whoami", want: signedIn},
		"GET /api/v1/session":                               {path: "/api/v1/session", want: anybody},
		"POST /api/v1/session":                              {path: "/api/v1/session", body: "token: nonsense", want: noToken},
		"DELETE /api/v1/session":                            {path: "/api/v1/session", want: nothing},
		"GET /signin/{provider}":                            {path: "/signin/nix", want: toPage},
		"GET /signin/{provider}/callback":                   {path: "/signin/nix/callback?code=x&state=y", want: toPage},
		"POST /api/v1/apply":                                {path: "/api/v1/apply", body: site, want: webOwners},
		"POST /api/v1/inventory":                            {path: "/api/v1/inventory?dryRun=true", body: `[{"name": "cmdb", "role": "web", "address": "10.0.0.9", "zone": "az1"}]`, want: webOwners, media: "application/json"},
		"POST /api/v1/plan":                                 {path: "/api/v1/plan", body: site, want: webOwners},
		"GET /api/v1/changes":                               {path: "/api/v1/changes", want: filtered},
		"GET /api/v1/changes/{revision}":                    {path: "/api/v1/changes/2", want: webReaders},
		"POST /api/v1/changes/{revision}/undo":              {path: "/api/v1/changes/2/undo?dryRun=true", want: webOwners},
		"GET /api/v1/status":                                {path: "/api/v1/status", want: granted},
		"GET /api/v1/counts":                                {path: "/api/v1/counts", want: granted},
		"GET /api/v1/series":                                {path: "/api/v1/series?of=Site/www&figures=requests", want: webReaders},
		"GET /api/v1/series/figures":                        {path: "/api/v1/series/figures", want: granted},
		"GET /api/v1/explain":                               {path: "/api/v1/explain?url=http%3A%2F%2Fwww.example.com%2F", want: webReaders},
		"POST /api/v1/backup":                               {path: "/api/v1/backup?recipient=" + recipient, want: admins},
		"GET /api/v1/restore/plan":                          {path: "/api/v1/restore/plan", want: allReaders},
		"POST /api/v1/restore/accept":                       {path: "/api/v1/restore/accept?reason=test", want: admins},
		"GET /api/v1/store":                                 {path: "/api/v1/store", want: allReaders},
		"DELETE /api/v1/store/members/{name}":               {path: "/api/v1/store/members/s2", want: admins},
		"GET /api/v1/ca":                                    {path: "/api/v1/ca", want: filtered},
		"POST /api/v1/ca/rotate":                            {path: "/api/v1/ca/rotate?reason=test", want: admins},
		"GET /api/v1/loadbalancers/{name}/render":           {path: "/api/v1/loadbalancers/lb1/render", want: allReaders},
		"GET /api/v1/loadbalancergroups/{name}/waves":       {path: "/api/v1/loadbalancergroups/edge/waves", want: granted},
		"POST /api/v1/loadbalancergroups/{name}/waves":      {path: "/api/v1/loadbalancergroups/edge/waves?action=go", want: admins},
		"GET /api/v1/loadbalancergroups/{name}/ticketkeys":  {path: "/api/v1/loadbalancergroups/edge/ticketkeys", want: granted},
		"POST /api/v1/loadbalancergroups/{name}/ticketkeys": {path: "/api/v1/loadbalancergroups/edge/ticketkeys?reason=x", want: admins},
		"GET /api/v1/servers/{name}/pools":                  {path: "/api/v1/servers/srv/pools", want: webReaders},
		"GET /api/v1/pools/{name}/preview":                  {path: "/api/v1/pools/web/preview", want: webReaders},
		"POST /api/v1/pools/preview":                        {path: "/api/v1/pools/preview", body: kindTable["Pool"].body, want: webReaders},
		"GET /api/v1/egressclients/{name}/calls":            {path: "/api/v1/egressclients/myback/calls", want: webReaders},
		"GET /api/v1/egressclients/{name}/url":              {path: "/api/v1/egressclients/myback/url?partner=example&service=www&sla=high", want: webReaders},
		"POST /api/v1/sites/preview":                        {path: "/api/v1/sites/preview", body: site, want: webReaders},
		"GET /api/v1/pools/{name}/health":                   {path: "/api/v1/pools/web/health", want: webReaders},
		"GET /api/v1/sites/{name}/counts":                   {path: "/api/v1/sites/www/counts", want: webReaders},
		"POST /api/v1/pools/try":                            {path: "/api/v1/pools/try", body: kindTable["Pool"].body, want: webOwners},
		"GET /api/v1/servers/{name}/checks":                 {path: "/api/v1/servers/srv/checks", want: webReaders},
		"GET /api/v1/sites/{name}/log":                      {path: "/api/v1/sites/www/log?follow=false", want: webReaders},
		"POST /api/v1/registrations":                        {path: "/api/v1/registrations", body: "{name: web-1, csr: x}", want: itself},
		"POST /api/v1/registrations/{name}/renew":           {path: "/api/v1/registrations/web-1/renew", body: "{csr: x}", want: itself},
		"PUT /api/v1/registrations/{name}":                  {path: "/api/v1/registrations/web-1", body: "{state: healthy}", want: itself},
		"DELETE /api/v1/registrations/{name}":               {path: "/api/v1/registrations/web-1", want: itself},
		"PUT /api/v1/accesslists/{name}/networks":           {path: "/api/v1/accesslists/list/networks", body: "192.0.2.0/24", want: webOwners, media: "text/plain"},
		"PUT /api/v1/maps/{name}/entries":                   {path: "/api/v1/maps/map/entries", body: "/a c", want: webOwners, media: "text/plain"},
		"PUT /api/v1/accesslists/{name}/strings":            {path: "/api/v1/accesslists/list/strings", body: "a b", want: webOwners, media: "text/plain"},
		"POST /api/v1/discoverysources/{name}/confirm":      {path: "/api/v1/discoverysources/source/confirm?doubt=1&reason=test", want: webOwners},
		"POST /api/v1/tokens":                               {path: "/api/v1/tokens", body: "kind: Token\nmetadata: {name: new}\nspec: {subject: robot}", want: makers},
	}
	maps.Copy(table, viewEndpoints)
	for _, kind := range weir.Kinds() {
		row, ok := kindTable[kind.Name]
		if !ok {
			continue
		}
		base := "/api/v1/" + kind.Plural
		table["GET "+base] = endpointRow{path: base, want: granted}
		if kind.Name == "Grant" || kind.Name == "Token" {
			table["GET "+base] = endpointRow{path: base, want: filtered}
		}
		table["GET "+base+"/{name}"] = endpointRow{path: base + "/" + row.name, want: row.read}
		table["GET "+base+"/{name}/referrers"] = endpointRow{path: base + "/" + row.name + "/referrers", want: row.read}
		table["PUT "+base+"/{name}"] = endpointRow{path: base + "/" + row.name, body: row.body, want: row.write}
		// Deleting what is referred to is refused by the rules, after the rights have been looked at.
		table["DELETE "+base+"/{name}"] = endpointRow{path: base + "/" + row.name + "?dryRun=true", want: row.write}
	}
	return table
}

// TestEndpoints tries every endpoint as everybody.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.restore.hold()
	w.want(w.do("admin", "PUT", "/api/v1/accesslists/mine", manifest("AccessList", "mine", roleWeb+"spec: {networks: [192.0.2.0/24]}")), 201) // change 2
	for _, k := range weir.Kinds() {                                                                                                          // what is referred to comes first
		if row := kindTable[k.Name]; row.needsWriting {
			w.want(w.do("admin", "PUT", "/api/v1/"+k.Plural+"/"+row.name, row.body), 201)
		}
	}
	table := endpointTable()
	for _, rt := range w.handler.routes {
		row, ok := table[rt.method+" "+rt.pattern]
		if !ok {
			t.Errorf("%s %s is not in the endpoint table: decide who may use it", rt.method, rt.pattern)
			continue
		}
		delete(table, rt.method+" "+rt.pattern)
		t.Run(rt.method+" "+rt.pattern, func(t *testing.T) { tryEndpoint(t, w, rt, row) })
	}
	for name := range table {
		t.Errorf("%s is in the endpoint table and not served", name)
	}
}

func tryEndpoint(t *testing.T, w *world, rt *route, row endpointRow) {
	wants := strings.Fields(row.want)
	if len(wants) != len(askers) {
		t.Fatalf("%d statuses for %d askers", len(wants), len(askers))
	}
	for i, who := range askers {
		before := w.store.Revision()
		a := w.do(who, rt.method, row.path, row.body, "Content-Type", cmp.Or(row.media, "application/yaml"))
		got := fmt.Sprint(a.StatusCode)
		if rt.method == http.MethodDelete && wants[i] == "200" && got == "400" && strings.Contains(string(a.body), "to it; change or delete") {
			got = "200"
		}
		if got != wants[i] {
			t.Errorf("as %q: %s, want %s: %.300s", who, got, wants[i], a.body)
		}
		if a.StatusCode >= 400 {
			a.problem(t)
			if w.store.Revision() != before {
				t.Errorf("as %q: refused and written all the same", who)
			}
		}
		if a.StatusCode == http.StatusUnauthorized && a.Header.Get("WWW-Authenticate") == "" {
			t.Error("no WWW-Authenticate")
		}
		for _, head := range []string{"Weir-Request", "X-Content-Type-Options"} {
			if a.Header.Get(head) == "" {
				t.Errorf("no %s", head)
			}
		}
		if strings.Contains(string(a.body), "canary-secret") {
			t.Errorf("as %q: a secret is shown: %.300s", who, a.body)
		}
	}
}

// TestCollectionsShowOnlyWhatOneMaySee: the answer is 200 to everybody who may see anything, and holds different
// things; whoever may see nothing is told so, in the same words whether there is anything or not.
func TestCollectionsShowOnlyWhatOneMaySee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for who, want := range map[string]map[string]string{
		"nobody": {"grants": "", "tokens": "t-nobody"},
		"viewer": {"pools": "shared web", "zones": "az1", "secrets": "key-web", "grants": "g-viewer", "tokens": "t-viewer", "sites": "www"},
		"other":  {"pools": "media shared", "zones": "az1", "secrets": "", "grants": "g-other", "tokens": "t-other", "sites": "films"},
		"auditor": {
			"pools": "media shared web", "zones": "az1", "secrets": "key-none key-web", "sites": "films www",
			"grants": "g-admin g-auditor g-operator g-other g-owner g-viewer", "tokens": "t-admin t-auditor t-nobody t-operator t-other t-owner t-viewer",
		},
	} {
		for plural, names := range want {
			if got := strings.Join(w.names(who, "/api/v1/"+plural), " "); got != names {
				t.Errorf("%s sees %s %q, want %q", who, plural, got, names)
			}
		}
	}
	for _, plural := range []string{"pools", "zones", "secrets", "sites", "maps", "pools?watch=true", "zones?role=web"} {
		p := w.want(w.do("nobody", "GET", "/api/v1/"+plural, ""), 403).problem(t)
		if !strings.Contains(p.Detail, "the right viewer on some role") {
			t.Errorf("%s: %s", plural, p.Detail)
		}
	}
	for _, role := range []string{"media", "web", "there-is-none"} {
		p := w.want(w.do("nobody", "GET", "/api/v1/pools?role="+role, ""), 403).problem(t)
		if want := "listing pools of role \"" + role + "\" takes the right viewer on it, which nobody does not have"; !strings.HasPrefix(p.Detail, want) {
			t.Errorf("%s, want %s", p.Detail, want)
		}
	}
	w.want(w.do("viewer", "GET", "/api/v1/pools?role=media", ""), 403)
	w.want(w.do("viewer", "GET", "/api/v1/zones?role=media", ""), 200)
	w.want(w.do("auditor", "GET", "/api/v1/pools?role=there-is-none", ""), 200)
	fleet := read[FleetStatus](t, w.do("owner", "GET", "/api/v1/status", ""))
	lb := fleet.Groups[0].LoadBalancers[0]
	if len(fleet.Groups[0].Problems) != 1 || len(lb.Deviations) != 1 || len(lb.Reloads.Reasons) != 1 {
		t.Errorf("the owner of web sees of media: %+v", fleet)
	}
	if d := lb.Drift; len(d.Now) != 1 || d.Now[0].Text != "y" || d.Hidden != 2 || len(d.Past) != 0 || d.Total != 3 {
		t.Errorf("the owner of web is told of changes by hand: %+v", d)
	}
	if len(fleet.NotIssued) != 1 || fleet.NotIssued[0].Object != "Pool/web" {
		t.Errorf("the owner of web is told of what is not issued: %+v", fleet.NotIssued)
	}
	if len(fleet.Partners) != 1 || fleet.Partners[0].Object != "Pool/web" {
		t.Errorf("the owner of web is told of partners that do not answer: %+v", fleet.Partners)
	}
	if g := fleet.Groups[0]; len(g.NotServing) != 1 || g.NotServing[0].Object != "Site/www" || g.NotServingHidden != 1 {
		t.Errorf("the owner of web is told of what does not serve: %+v, hidden %d", g.NotServing, g.NotServingHidden)
	}
	if again := read[FleetStatus](t, w.do("admin", "GET", "/api/v1/status", "")); len(again.Groups[0].Problems) != 2 || len(again.Groups[0].NotServing) != 2 || again.Groups[0].NotServingHidden != 0 || len(again.Groups[0].LoadBalancers[0].Drift.Now) != 3 {
		t.Errorf("the admin sees %+v", again)
	}
	if c := read[SiteCountsAnswer](t, w.do("viewer", "GET", "/api/v1/counts", "")); len(c.Sites) != 1 || c.Sites["www"].Requests != 7 {
		t.Errorf("counts: %+v", c)
	}
}
