package api

import (
	"strings"

	"weir"
)

// viewEndpoints are the rows of views in the endpoint table.
var viewEndpoints = map[string]endpointRow{
	"GET /api/v1/kinds":           {path: "/api/v1/kinds", want: signedIn},
	"GET /api/v1/overview":        {path: "/api/v1/overview", want: granted},
	"GET /api/v1/graph":           {path: "/api/v1/graph", want: granted},
	"GET /api/v1/search":          {path: "/api/v1/search?q=www", want: granted},
	"GET /api/v1/matrix":          {path: "/api/v1/matrix", want: granted},
	"POST /api/v1/matrix/preview": {path: "/api/v1/matrix/preview", body: "{sites: [www], zone: az1}", want: webReaders},
	"GET /api/v1/rows/{plural}":   {path: "/api/v1/rows/sites", want: granted},
}

// stage is what a test says is so.
type stage struct {
	fleet FleetStatus
	// aside are groups that no change concerns.
	aside []string
	// statuses are by object, seen by pool.
	statuses map[string]*weir.Status
	seen     map[string][]SeenServer
}

// Status implements Moment.
func (s *stage) Status(o *weir.Object) *weir.Status { return s.statuses[o.Ref().String()] }

// Seen implements Moment.
func (s *stage) Seen(pool string) []SeenServer { return s.seen[pool] }

// Seen implements Moment.
func (*fakeStatus) Seen(pool string) []SeenServer {
	return []SeenServer{{Server: pool + "-1", Up: 1, Of: 1}}
}

// Moment implements StatusSource.
func (f *fakeStatus) Moment() Moment {
	if f.stage != nil {
		return f.stage
	}
	return f
}

func refOf(text string) weir.Ref {
	kind, name, _ := strings.Cut(text, "/")
	return weir.Ref{Kind: kind, Name: name}
}
