package accesslog

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// called is a line of a call: where it went, how it ended, and what is said of the call, in quotes or null.
func called(route, path, backend, server, status, end, eg string) string {
	return replaced(`"si":"www","ro":"api","zo":"az1"`, fmt.Sprintf(`"ro":%q,"zo":null,"li":null`, route),
		`"u":"/api/v1/things/4711"`, fmt.Sprintf(`"u":%q`, path), `"b":"web-az1"`, fmt.Sprintf(`"b":%q`, backend), `"s":"web-az1-017"`, fmt.Sprintf(`"s":%q`, server),
		`"st":200`, `"st":`+status, `"e":"--"`, fmt.Sprintf(`"e":%q`, end), `"v":"HTTP/2.0"}`, `"v":"HTTP/2.0","eg":[`+eg+`]}`)
}

const (
	wwwPath = "/myback/prod/example/prod/www/high/x"
	through = `"myback","r1","192.0.2.7","443","360506070809Z","2500","0",null,null`
	unmade  = `"myback","r1","192.0.2.7","443",null,"0","0","SSL_HANDSHAKE","certificate verify failed"`
	nowhere = `"myback","r1","-","-",null,"-","0",null,null`
)

// Calls are counted by who called whom, under names of objects alone; each that fails has somebody's fault; refused ones are
// counted by why, whatever their path says.
func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	const to, be = "out/example.prod.www", "example.prod.www.a1b2"
	lines := []string{
		called(to, wwwPath, be, "s1", "200", "--", through),
		called(to, wwwPath, "example.prod.new.a1b2", "s1", "404", "--", strings.Replace(through, "192.0.2.7", "-", 1)), // by a Split
		called(to, wwwPath, be, "s1", "500", "--", strings.Replace(through, `"2500","0"`, `"2500","1"`, 1)),
		called(to, wwwPath, be, "s1", "503", "SC", unmade),
		called(to, wwwPath, be, "s1", "504", "sH", through),
		called(to, wwwPath, be, "s1", "502", "PH", through),
		called(to, wwwPath, be, "s1", "400", "CH", through),
		called(to, wwwPath, be, "<NOSRV>", "503", "SC", nowhere),
		called(to, wwwPath, be, "s1", "503", "RC", nowhere),
		called(to, wwwPath, "http-443", "<NOSRV>", "503", "LR", nowhere), // its name has no address
		called(to+"+full", wwwPath, "http-443", "<NOSRV>", "503", "LR", nowhere),
		called(to+"+maintenance", wwwPath, "http-443", "<NOSRV>", "503", "LR", nowhere),
		called("out/!form", "/%2e/"+strings.Repeat("x", 400), "http-443", "<NOSRV>", "400", "LR", `null,null,"-","-",null,"-","0",null,null`),
		called("out/!client", "/hostile/prod/a/b/c/d/", "http-443", "<NOSRV>", "403", "LR", `null,null,"-","-",null,"-","0",null,null`),
		called("out/!rule", "/myback/prod/hostile/prod/www/high/", "http-443", "<NOSRV>", "403", "LR", `"myback",null,"-","-",null,"-","0",null,null`),
		called("out/!method", wwwPath, "http-443", "<NOSRV>", "403", "LR", nowhere),
		called("shop/default", wwwPath, "api", "s1", "200", "--", `null,null,"192.0.2.9","80",null,"7","0",null,null`), // of another site at the port
		called("shop/!maintenance", "/x", "http-443", "<NOSRV>", "503", "LR", `null,null,"-","-",null,"-","0",null,null`),
		httpLine,
	}
	c := counted(t, maxSeries, lines...)
	if len(c.Calls) != 1 {
		t.Fatalf("%d keys: %+v", len(c.Calls), c.Calls)
	}
	call := c.Calls[0]
	if want := (CallKey{"out", "myback", "example.prod.www", "high"}); call.CallKey != want || call.Requests() != 10 {
		t.Errorf("%+v, %d calls", call.CallKey, call.Requests())
	}
	if want := (Faults{Client: 1, Weir: 3, Partner: 4}); call.Faults != want || call.Reused != 1 {
		t.Errorf("%+v, %d reused", call.Faults, call.Reused)
	}
	if call.Classes[2].Requests != 1 || call.Classes[4].Requests != 2 || call.Classes[5].Requests != 7 || call.Total.Count() != 10 {
		t.Errorf("%+v", call.Classes)
	}
	// The line's connection took 2 ms, its way there and back more than that, and once nothing is known of it.
	if call.Connect.Count() != 6 || call.Connect.SumMS != 10 || call.TLS.Count() != 6 || call.TLS.SumMS != 2 {
		t.Errorf("connect %+v, tls %+v", call.Connect, call.TLS)
	}
	named := CallKey{"out", "myback", "example.prod.www", "high"}
	want := []RefusedCall{
		{CallKey{Site: "out"}, "client", "", 1},
		{CallKey{Site: "out"}, "form", "", 1},
		{CallKey{Site: "out", Client: "myback"}, "rule", "", 1},
		{named, "full", "r1", 1},
		{named, "maintenance", "r1", 1},
		{named, "method", "r1", 1},
	}
	if !slices.Equal(c.RefusedCalls, want) {
		t.Errorf("refused: %+v", c.RefusedCalls)
	}
	if len(c.Presented) != 1 || c.Presented[0].At != "192.0.2.7:443" || !c.Presented[0].Until.Equal(time.Date(2036, 5, 6, 7, 8, 9, 0, time.UTC)) {
		t.Errorf("presented: %+v", c.Presented)
	}
	text := scrape(t, NewCollector(func() Counts { return c }, prometheus.Labels{}))
	const labels = `client="myback",environment="prod",`
	for _, want := range []string{
		`weir_calls_total{class="5xx",` + labels + `partner="example",service="www",site="out",sla="high"} 7`,
		`weir_call_errors_total{` + labels + `fault="partner",partner="example",service="www",site="out",sla="high"} 4`,
		`weir_calls_refused_total{` + labels + `partner="example",reason="method",rule="r1",service="www",site="out",sla="high"} 1`,
		`weir_calls_refused_total{client="",environment="",partner="",reason="form",rule="",service="",site="out",sla=""} 1`,
		`weir_call_tls_seconds_count{` + labels + `partner="example",service="www",site="out",sla="high"} 6`,
		`weir_partner_certificate_expiry_timestamp_seconds{environment="prod",partner="example",service="www.a1b2"} 2.093670489e+09`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "hostile") {
		t.Error("what a path says came among the figures")
	}
}

// Counts of calls add up, and differ, as all others do, and come back from their rows.
func TestCallsTravel(t *testing.T) {
	t.Parallel()
	line := called("out/example.prod.www", wwwPath, "example.prod.www", "s1", "500", "--", through)
	refused := called("out/!method", wwwPath, "http-443", "<NOSRV>", "403", "LR", nowhere)
	first, second := counted(t, maxSeries, line, refused), counted(t, maxSeries, line, line, refused, line)
	grown := second.Sub(first)
	if len(grown.Calls) != 1 || grown.Calls[0].Requests() != 2 || grown.Calls[0].Faults.Partner != 2 || len(grown.RefusedCalls) != 0 {
		t.Errorf("since: %+v, %+v", grown.Calls, grown.RefusedCalls)
	}
	sum := first
	sum.Merge(second)
	if len(sum.Calls) != 1 || sum.Calls[0].Requests() != 4 || sum.RefusedCalls[0].Requests != 2 || len(sum.Presented) != 1 {
		t.Errorf("sum: %+v, %+v, %+v", sum.Calls, sum.RefusedCalls, sum.Presented)
	}
	if first.Calls[0].Requests() != 1 {
		t.Error("adding changed what was added to")
	}
	rows := map[string]json.RawMessage{second.Calls[0].Name(): second.Calls[0].Row(), "a/b": json.RawMessage("[0,1]")}
	var again Counts
	if err := again.TakeCalls(CallColumns(), rows); err != nil || !reflect.DeepEqual(again.Calls, second.Calls) {
		t.Errorf("%+v, want %+v: %v", again.Calls, second.Calls, err)
	}
	if err := again.TakeCalls(CallColumns(), map[string]json.RawMessage{"a/b/c/d": json.RawMessage("[9999,1]")}); err == nil || len(again.Calls) != 1 {
		t.Errorf("a place beyond the columns: %v", err)
	}
	table := newTable(maxSeries)
	table.resume(second)
	resumed := table.snapshot()
	if !reflect.DeepEqual(resumed.Calls, second.Calls) || !slices.Equal(resumed.RefusedCalls, second.RefusedCalls) || !slices.Equal(resumed.Presented, second.Presented) {
		t.Errorf("resumed: %+v, %+v, %+v", resumed.Calls, resumed.RefusedCalls, resumed.Presented)
	}
}

// However many names there are, what is kept is bounded, and what an address showed is forgotten a day after its last call.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	table := newTable(maxSeries)
	table.callRoom = 2
	count := func(client, route string) {
		var l Line
		text := called(route, wwwPath, "example.prod.www", "s1", "200", "--", strings.Replace(through, "myback", client, 1))
		if _, err := l.parse([]byte(text)); err != nil {
			t.Fatalf("parse %s: %v", text, err)
		}
		table.count(&l)
	}
	for i := range refusedRoom + 5 {
		count(fmt.Sprint("c", i), "out/example.prod.www")
		count(fmt.Sprint("c", i), "out/!rule")
	}
	count(strings.Repeat("x", maxName+1), "out/!rule")
	c := table.snapshot()
	c.sort()
	if len(c.Calls) != 3 || c.Calls[0].CallKey != otherCall || c.Calls[0].Requests() != refusedRoom+3 {
		t.Errorf("%d keys of calls, the first %+v", len(c.Calls), c.Calls[0].CallKey)
	}
	if n := len(c.RefusedCalls); n != refusedRoom+2 {
		t.Errorf("%d keys of refused calls", n)
	}
	if len(c.Presented) != 1 {
		t.Fatalf("%+v", c.Presented)
	}
	seen := c.Presented[0].Seen
	table.forgetPresented(seen.Add(presentedFor))
	if len(table.presented) != 1 {
		t.Error("forgotten too early")
	}
	if table.forgetPresented(seen.Add(presentedFor + 1)); len(table.presented) != 0 {
		t.Error("it is remembered still")
	}
}
