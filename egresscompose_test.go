package weir_test

import (
	"testing"

	"weir"
)

// Rules of one call add up, by whole elements of a path, and a refusal names the first of them.
func TestLetCall(t *testing.T) {
	t.Parallel()
	const path = "/myback/prod/example/prod/www/high"
	some := []weir.EgressCall{
		{Path: path + "/", Rule: "a", Methods: []string{"GET"}, Paths: []string{"/api", "/open/"}},
		{Path: path + "/", Rule: "b", Methods: []string{"POST"}, Paths: []string{"/api/in"}},
	}
	for _, test := range []struct {
		rules        []weir.EgressCall
		method, rest string
		reason, text string
	}{
		{some, "GET", "/api", "", ""},
		{some, "GET", "/api/in/x", "", ""},
		{some, "POST", "/api/in", "", ""},
		{some, "GET", "/open", "", ""},
		{some, "GET", "/apix", "path", "EgressRule/a lets nothing through at this path"},
		{some, "GET", "", "path", "EgressRule/a lets nothing through at this path"},
		{some, "POST", "/api/inx", "method", "EgressRule/a lets no POST through here"},
		{some, "GET", "/api//in", "form", "where EgressRules go by paths, what needs no % must be written without, and there is no //"},
		{some, "GET", "/%61pi", "form", "where EgressRules go by paths, what needs no % must be written without, and there is no //"},
		{[]weir.EgressCall{{Rule: "c", Paths: []string{"/"}}}, "GET", "/a//b", "", ""},
		{[]weir.EgressCall{{Rule: "c", Methods: []string{"PUT"}}, {Rule: "d"}}, "GET", "", "", ""},
	} {
		_, got := weir.LetCall(test.rules, test.method, path+test.rest)
		if got == nil {
			got = &weir.Refusal{}
		}
		if got.Reason != test.reason || got.Text != test.text {
			t.Errorf("%s %s: %+v, want %s", test.method, test.rest, *got, test.text)
		}
	}
	if m := weir.EgressMethod(some, path+"/api/in"); m != "GET" {
		t.Error(m)
	}
	if m := weir.EgressMethod(some[1:], path+"/api/in"); m != "POST" {
		t.Error(m)
	}
}
