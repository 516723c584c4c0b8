package sources

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir"
)

// TestBadLists: whatever stands in a file, what was learned before stands, and the source says what is wrong with it.
func TestBadLists(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.list("web.json", "10.0.0.1", "10.0.0.2")
	b.apply(fileSource("web", "web.json", ""))
	b.run()
	want := []string{"10-0-0-1=10.0.0.1", "10-0-0-2=10.0.0.2"}
	b.has(want...)
	million := strings.Repeat(`{"targets":["10.0.0.1:1","10.0.0.1:2","10.0.0.1:3","10.0.0.1:4","10.0.0.1:5","10.0.0.1:6","10.0.0.1:7","10.0.0.1:8"]},`, 125_000)
	for _, bad := range []struct{ text, says string }{
		{"<html>Sorry, we are down", "it is no list of groups in JSON"},
		{`[{"targets": ["10.0.0.1:80", "10.0.0.2:`, "is not understood"},
		{`[{"targets": ["10.0.0.1:80"]}, {"targets": ["10.0.0.1:80"]}]`, "is there twice"},
		{`[{"targets": ["10.0.0.1:80", "10.0.0.2:99999"]}]`, "is no host:port"},
		{"[" + strings.TrimSuffix(million, ",") + "]", "more than"},
		{"", "it is empty"},
	} {
		b.write("web.json", bad.text)
		s := b.says("web", func(s weir.SourceStatus) bool { return strings.Contains(s.Error, bad.says) })
		if got := b.servers(); !slices.Equal(got, want) || s.FailedAt.IsZero() {
			t.Errorf("%.40s leaves %q; %+v", bad.text, got, s)
		}
	}
	b.list("web.json", "10.0.0.1", "10.0.0.3")
	b.has("10-0-0-1=10.0.0.1", "10-0-0-3=10.0.0.3")
	b.says("web", func(s weir.SourceStatus) bool { return s.Error == "" && s.FailedAt.IsZero() })
}

// TestFaultOfOurs: what a source makes this program stumble over is told, costs no other source, and ends.
func TestFaultOfOurs(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	var fault atomic.Bool
	b.clock = func() time.Time {
		if fault.CompareAndSwap(true, false) {
			panic("a clock that strikes thirteen")
		}
		return time.Now()
	}
	b.list("web.json", "10.0.0.1")
	b.apply(fileSource("web", "web.json", ""))
	b.run()
	b.has("10-0-0-1=10.0.0.1")
	fault.Store(true)
	b.list("web.json", "10.0.0.1", "10.0.0.2")
	b.says("web", func(s weir.SourceStatus) bool {
		return strings.Contains(s.Error, "a fault of Weir itself, which the log of server s1")
	})
	b.list("other.json", "10.0.0.3")
	b.apply(fileSource("other", "other.json", ""))
	b.has("10-0-0-1=10.0.0.1", "10-0-0-3=10.0.0.3")
	b.apply(fileSource("web", "web.json", ", floor: {count: 1}"))
	b.has("10-0-0-1=10.0.0.1", "10-0-0-2=10.0.0.2", "10-0-0-3=10.0.0.3")
	b.says("web", func(s weir.SourceStatus) bool { return s.Error == "" })
}

// TestLinksLeadNowhere: nothing outside of the folder of files is read, whatever lies in it.
func TestLinksLeadNowhere(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	outside := filepath.Join(t.TempDir(), "canary.json")
	if err := os.WriteFile(outside, []byte(`[{"targets": ["10.9.9.9:80"]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(b.folder, "web.json")); err != nil {
		t.Fatal(err)
	}
	b.apply(fileSource("web", "web.json", ""))
	b.run()
	b.says("web", func(s weir.SourceStatus) bool { return strings.Contains(s.Error, "leads out of the folder") })
	if got := b.servers(); len(got) != 0 {
		t.Errorf("servers of a file outside: %q", got)
	}
	none := Reach{}
	if _, err := none.driver(&weir.DiscoverySource{File: &weir.FileSource{Path: "a"}}, given{}, nil); err == nil || !strings.Contains(err.Error(), "--discovery-files") {
		t.Errorf("without a folder: %v", err)
	}
}

// TestTokens: a URL is asked with the token of a Secret, with another one as soon as that is written, and no one else is
// shown it, even where the place says it.
func TestTokens(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	var token atomic.Pointer[string]
	token.Store(new("canary-one"))
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer "+*token.Load() {
			http.Error(rw, "I don't like "+got, http.StatusUnauthorized)
			return
		}
		fmt.Fprint(rw, `[{"targets": ["10.0.0.1:80"], "labels": {"zone": "AZ1"}}]`)
	}))
	t.Cleanup(srv.Close)
	b.apply("{kind: Secret, metadata: {name: cmdb}, spec: {data: canary-one}}\n---\n" +
		"{kind: DiscoverySource, metadata: {name: cmdb}, spec: {url: {url: \"" + srv.URL + "/web?key=canary-query\", token: cmdb}, interval: 1s, server: {name: web, zone: \"${label.zone}\"}}}")
	b.run()
	b.has("web=10.0.0.1")
	token.Store(new("canary-two"))
	s := b.says("cmdb", func(s weir.SourceStatus) bool { return strings.Contains(s.Error, "401") })
	b.apply("{kind: Secret, metadata: {name: cmdb}, spec: {data: canary-two}}")
	b.says("cmdb", func(s weir.SourceStatus) bool { return s.Error == "" })
	told := fmt.Sprintf("%+v", s) + b.log.String()
	for o := range b.store.View().Every() {
		told += fmt.Sprintf("%+v %+v", o.Metadata, o.Status)
	}
	if i := strings.Index(told, "canary"); i >= 0 {
		t.Errorf("told: %s", told[max(0, i-100):min(len(told), i+100)])
	}
}

// TestOthersServers: a name that somebody else has is left alone and told; what people change or delete of a source's own
// is written over.
func TestOthersServers(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.apply("{kind: Server, metadata: {name: 10-0-0-1, role: web}, spec: {address: 10.7.7.7, zone: az1}}")
	b.list("web.json", "10.0.0.1", "10.0.0.2")
	b.apply(fileSource("web", "web.json", ""))
	b.run()
	b.has("10-0-0-1=10.7.7.7 ", "10-0-0-2=10.0.0.2")
	s := b.says("web", func(s weir.SourceStatus) bool { return s.LeftOut == 1 })
	if len(s.Left) != 1 || !strings.Contains(s.Left[0].Why, "Server/10-0-0-1 is written by people") {
		t.Errorf("it says %+v", s.Left)
	}
	b.apply("{kind: Server, metadata: {name: 10-0-0-2, role: web, managedBy: discovery/web}, spec: {address: 10.8.8.8, zone: az2}}")
	b.has("10-0-0-1=10.7.7.7 ", "10-0-0-2=10.0.0.2")
	b.delete("Server", "10-0-0-2")
	b.has("10-0-0-1=10.7.7.7 ", "10-0-0-2=10.0.0.2")
	b.delete("Server", "10-0-0-1")
	b.has("10-0-0-1=10.0.0.1", "10-0-0-2=10.0.0.2")
	b.says("web", func(s weir.SourceStatus) bool { return s.LeftOut == 0 })
}

// TestServersThatNameASource: who writes Servers of one role can't hold up a source of another one by naming it as their
// manager, and nobody's are deleted for that; those of the role itself, as an export brings them back, are the source's.
func TestServersThatNameASource(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.apply("{kind: Role, metadata: {name: media}}")
	for i := range 20 {
		b.apply(fmt.Sprintf("{kind: Server, metadata: {name: media-%d, role: media, managedBy: discovery/web}, spec: {address: 10.7.7.7, zone: az1}}", i+10))
	}
	b.apply("{kind: Server, metadata: {name: 10-0-0-2, role: media, managedBy: discovery/web}, spec: {address: 10.7.7.7, zone: az1}}")
	b.apply("{kind: Server, metadata: {name: 10-0-0-3, role: web, managedBy: discovery/web}, spec: {address: 10.8.8.8, zone: az2}}")
	b.list("web.json", "10.0.0.1", "10.0.0.2", "10.0.0.3")
	b.apply(fileSource("web", "web.json", ""))
	b.run()
	s := b.says("web", func(s weir.SourceStatus) bool { return s.Servers == 2 && s.Healthy == 2 && s.LeftOut == 1 })
	if s.Doubt != nil || len(s.Left) != 1 || !strings.Contains(s.Left[0].Why, "is written by people of role media") {
		t.Errorf("it says %+v, doubt %+v", s, s.Doubt)
	}
	b.list("web.json", "10.0.0.3")
	want := []string{"10-0-0-2=10.7.7.7 ", "10-0-0-3=10.0.0.3"}
	for i := range 20 {
		want = append(want, fmt.Sprintf("media-%d=10.7.7.7 ", i+10))
	}
	b.has(want...)
	// The role of the source is changed: its servers go along.
	b.apply(strings.Replace(fileSource("web", "web.json", ""), "role: web", "role: media", 1))
	b.says("web", func(s weir.SourceStatus) bool { return s.Doubt != nil && s.Doubt.Servers == 21 })
	if role := b.store.View().Get(weir.Ref{Kind: "Server", Name: "10-0-0-3"}).Metadata.Role; role != "media" {
		t.Errorf("10-0-0-3 is of role %s", role)
	}
}

// TestWhatTheStoreHasNoRoomFor: servers of zones that are not there, or beyond the quota of their role, are left out and
// told, and come as soon as they can; two of one name are one.
func TestWhatTheStoreHasNoRoomFor(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.apply("{kind: Role, metadata: {name: web}, spec: {quotas: {Server: 2}}}")
	b.write("web.json", `[{"targets": ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.3:81", "web:80"], "labels": {"zone": "az1"}}, {"targets": ["10.0.0.4:80"], "labels": {"zone": "az9"}}]`)
	b.apply(strings.Replace(fileSource("web", "web.json", ""), "zone: az1", "zone: \"${label.zone}\"", 1))
	b.run()
	b.has("10-0-0-1=10.0.0.1", "10-0-0-2=10.0.0.2")
	s := b.says("web", func(s weir.SourceStatus) bool { return s.LeftOut == 4 })
	text := fmt.Sprint(s.Left)
	for _, want := range []string{"role web has room for 2 servers", "Zone/az9 does not exist", "Server/10-0-0-3 is 10.0.0.3:80 of targets already", `"web" is no address`} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q: %s", want, text)
		}
	}
	b.apply("{kind: Role, metadata: {name: web}, spec: {quotas: {Server: 3}}}")
	b.has("10-0-0-1=10.0.0.1", "10-0-0-2=10.0.0.2", "10-0-0-3=10.0.0.3")
	b.apply("{kind: Role, metadata: {name: web}}\n---\n{kind: Zone, metadata: {name: az9}}")
	b.has("10-0-0-1=10.0.0.1", "10-0-0-2=10.0.0.2", "10-0-0-3=10.0.0.3", "10-0-0-4=10.0.0.4")
}
