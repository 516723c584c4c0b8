package accesslog

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// counted returns the counts of the lines.
func counted(t *testing.T, room int, lines ...string) Counts {
	t.Helper()
	table := newTable(room)
	for _, line := range lines {
		var l Line
		if _, err := l.parse([]byte(line)); err != nil {
			t.Fatalf("parse %s: %v", line, err)
		}
		table.count(&l)
	}
	c := table.snapshot()
	c.sort()
	return c
}

// replaced returns httpLine with the pairs of old and new replaced.
func replaced(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(httpLine) }

// TestErrorsOfWhatWasSentBack: where no server was found for a request that came back to HAProxy, servers caused that; a
// status that a server chose is nobody's error.
func TestErrorsOfWhatWasSentBack(t *testing.T) {
	for _, c := range []struct {
		server, status, end string
		want                Errors
	}{
		{"_again.5f3", "503", "--", Errors{Server: 1}},
		{"_again.5f3", "504", "--", Errors{Server: 1}},
		{"_again.5f3", "200", "--", Errors{}},
		{"_again.5f3", "500", "--", Errors{}},
		{"_again.5f3", "503", "CD", Errors{Client: 1}},
		{"web-1", "503", "--", Errors{}},
	} {
		line := replaced(`"s":"web-az1-017"`, `"s":"`+c.server+`"`, `"st":200`, `"st":`+c.status, `"e":"--"`, `"e":"`+c.end+`"`)
		if got := counted(t, maxSeries, line).Get(Key{"www", "web-az1", "az1"}).Errors; got != c.want || !strings.Contains(line, c.server) {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

func TestCountPerSitePoolZoneAndClass(t *testing.T) {
	c := counted(t, maxSeries, httpLine, httpLine,
		replaced(`"st":200`, `"st":503`, `"e":"--"`, `"e":"SC"`, `"r":"0"`, `"r":"+3"`, `"tm":[0,1,2,33,41]`, `"tm":[0,1,-1,-1,5000]`),
		replaced(`"zo":"az1"`, `"zo":"az2"`, `"si":"www"`, `"si":"shop"`),
		replaced(`"b":"web-az1"`, `"b":"http-443"`, `"si":"www"`, `"si":""`, `"zo":"az1"`, `"zo":null`, `"st":200`, `"st":404`),
		tcpLine, errLine,
		strings.Replace(errLine, `"st":0`, `"st":400`, 1))
	if c.Lines != 8 || c.ConnectionErrors != 1 || len(c.Series) != 4 {
		t.Fatalf("counted %+v", c)
	}
	www := c.Get(Key{"www", "web-az1", "az1"})
	if www.Classes[2] != (Class{2, 158, 9422}) || www.Classes[5].Requests != 1 || www.Requests() != 3 {
		t.Errorf("classes of www: %+v", www.Classes)
	}
	if www.Errors != (Errors{Server: 1}) || www.Retries != 3 || www.Redispatches != 1 {
		t.Errorf("errors of www: %+v, %d retries, %d redispatches", www.Errors, www.Retries, www.Redispatches)
	}
	if www.Total.Count() != 3 || www.Total.SumMS != 5082 || www.Response.Count() != 2 {
		t.Errorf("durations of www: %+v, %+v", www.Total, www.Response)
	}
	if n := c.Get(Key{"ldap", "ldap", ""}).Classes[0].Requests; n != 1 {
		t.Errorf("%d tcp connections", n)
	}
	if nobody := c.Get(Key{}); nobody.Requests() != 2 || nobody.Errors.Client != 1 {
		t.Errorf("unknown host and broken request: %+v", nobody)
	}
	if c.Get(Key{Pool: "http-443"}).Requests() != 0 || c.Get(Key{Site: "none"}).Requests() != 0 {
		t.Error("counted under a pool that is none")
	}
}

func TestCountOverflowsIntoOther(t *testing.T) {
	var lines []string
	for i := range 5 {
		lines = append(lines, replaced(`"si":"www"`, fmt.Sprintf(`"si":"s%d"`, i)))
	}
	lines = append(lines, replaced(`"si":"www"`, `"si":"`+strings.Repeat("x", maxName+1)+`"`), lines[0])
	c := counted(t, 3, lines...)
	if len(c.Series) != 4 || c.Overflowed != 3 || c.Get(Key{Other, Other, Other}).Requests() != 3 {
		t.Errorf("counted %+v", c)
	}
	if n := c.Get(Key{"s0", "web-az1", "az1"}).Requests(); n != 2 {
		t.Errorf("%d requests of a site that had room", n)
	}
}

func TestBlame(t *testing.T) {
	for want, states := range map[cause]string{
		causeNone:   "-- LR LH",
		causeClient: "CD CH CR cD cR PR PT PD",
		causeServer: "SC SD SH sC sD sH sQ PH DD",
		causeProxy:  "PC PQ RC ID KD UD P-",
	} {
		for _, state := range strings.Fields(states) {
			if got := blame([]byte(state)); got != want {
				t.Errorf("%s: cause %d, want %d", state, got, want)
			}
		}
	}
	if blame(nil) != causeNone {
		t.Error("no state has a cause")
	}
}

func TestMergeAndSub(t *testing.T) {
	shop := replaced(`"si":"www"`, `"si":"shop"`)
	a := counted(t, maxSeries, httpLine, tcpLine)
	b := counted(t, maxSeries, httpLine, shop, errLine)
	all := counted(t, maxSeries, httpLine, tcpLine, httpLine, shop, errLine)

	sum := a
	sum.Merge(b)
	if !reflect.DeepEqual(sum, all) {
		t.Errorf("merged\n%+v\nwant\n%+v", sum, all)
	}
	if reflect.DeepEqual(a, sum) || a.Get(Key{"www", "web-az1", "az1"}).Requests() != 1 {
		t.Error("merging changed what was merged")
	}
	if d := all.Sub(a); !reflect.DeepEqual(d, b) {
		t.Errorf("difference\n%+v\nwant\n%+v", d, b)
	}
	if d := all.Sub(all); !reflect.DeepEqual(d, Counts{}) {
		t.Errorf("difference to itself: %+v", d)
	}
	if d := b.Sub(all); !reflect.DeepEqual(d.Series, b.Series[1:2]) {
		t.Errorf("after a restart the lower series is to be whole, the equal one empty: %+v", d.Series)
	}
	if sites := all.BySite(); len(sites) != 3 || sites[2].Site != "www" || sites[2].Requests() != 2 {
		t.Errorf("by site: %+v", sites)
	}
}

func TestCountsAsJSON(t *testing.T) {
	c := counted(t, maxSeries, httpLine, tcpLine, errLine)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Counts
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("read back %+v, %v, want %+v", back, err, c)
	}
}

func TestHistogramBuckets(t *testing.T) {
	var h Histogram
	for _, ms := range []int64{-1, 0, 1, 4, 5, 59_999, 60_000, 1 << 40} {
		h.observe(ms)
	}
	for i, want := range map[int]uint64{0: 1, 1: 1, 3: 1, 4: 1, len(bounds) - 1: 1, len(bounds): 2} {
		if h.Buckets[i] != want {
			t.Errorf("bucket %d has %d, want %d", i, h.Buckets[i], want)
		}
	}
	if h.Count() != 7 {
		t.Errorf("%d durations", h.Count())
	}
}

func TestHistogramQuantile(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
	for range 90 {
		h.observe(8) // in the bucket from 7 to 10 ms
	}
	for range 10 {
		h.observe(70_000)
	}
	if got := h.Quantile(0.45); got != 8500*time.Microsecond {
		t.Errorf("0.45 is %s, want the middle of the bucket", got)
	}
	if got := h.Quantile(0.99); got != time.Minute {
		t.Errorf("0.99 is %s, want the last bound", got)
	}
}
