package api

import (
	"reflect"

	"weir"
)

// viewRoutes are what the console is made of: answers out of one picture of everything that all who ask share.
func viewRoutes() []*route {
	return []*route{
		{method: "GET", pattern: "/api/v1/kinds", id: "kinds", summary: "Tell what kinds of objects there are, and who may write them.", answer: reflect.TypeFor[KindList](), handle: (*call).kindList},
		{method: "GET", pattern: "/api/v1/overview", id: "overview", summary: "Tell how everything is that one may see, what somebody should look at, and what is on its way.", query: []param{roleParam}, tagged: true, answer: reflect.TypeFor[Overview](), handle: (*call).overview},
		{method: "GET", pattern: "/api/v1/rows/{plural}", id: "rows", summary: "List objects of a kind with their states, for tables: filtered, sorted, a page at a time.", query: rowsParams, tagged: true, answer: reflect.TypeFor[RowsAnswer](), handle: (*call).rows},
		{method: "GET", pattern: "/api/v1/search", id: "search", summary: "Find objects by names, host names, addresses, fingerprints, labels and ports.", query: searchParams, tagged: true, answer: reflect.TypeFor[SearchAnswer](), handle: (*call).search},
		{method: "GET", pattern: "/api/v1/graph", id: "graph", summary: "Tell what leads where, from load balancers to servers, folded until it is small.", query: graphParams, tagged: true, answer: reflect.TypeFor[Graph](), handle: (*call).graph},
		{method: "GET", pattern: "/api/v1/matrix", id: "matrix", summary: "Tell which zone serves how much of which site.", query: matrixParams, tagged: true, answer: reflect.TypeFor[Matrix](), handle: (*call).matrix},
		{method: "POST", pattern: "/api/v1/matrix/preview", id: "previewShift", summary: "Tell what the other zones would carry if traffic left one.", body: "shift", answer: reflect.TypeFor[ShiftPreview](), handle: (*call).previewShift},
	}
}

// viewRoutesOf are those of each kind.
func viewRoutesOf(kind weir.Kind) []*route {
	return []*route{
		{method: "GET", pattern: "/api/v1/" + kind.Plural + "/{name}/referrers", id: "referrersOf" + kind.Name, summary: "Tell which objects name one of kind " + kind.Name + ".", kind: &kind, query: referrersParams, tagged: true, answer: reflect.TypeFor[ReferrersAnswer](), handle: func(c *call) error { return c.referrers(kind) }},
	}
}
