package api

import "reflect"

// viewRoutes are what the console is made of: answers out of one picture of everything that all who ask share.
func viewRoutes() []*route {
	return []*route{
		{method: "GET", pattern: "/api/v1/kinds", id: "kinds", summary: "Tell what kinds of objects there are, and who may write them.", answer: reflect.TypeFor[KindList](), handle: (*call).kindList},
		{method: "GET", pattern: "/api/v1/overview", id: "overview", summary: "Tell how everything is that one may see, what somebody should look at, and what is on its way.", query: []param{roleParam}, tagged: true, answer: reflect.TypeFor[Overview](), handle: (*call).overview},
		{method: "GET", pattern: "/api/v1/rows/{plural}", id: "rows", summary: "List objects of a kind with their states, for tables: filtered, sorted, a page at a time.", query: rowsParams, tagged: true, answer: reflect.TypeFor[RowsAnswer](), handle: (*call).rows},
	}
}
