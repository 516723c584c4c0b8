package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/api"
)

// What people see of servers and store members, and the mistakes of those who start them.
func TestServerCommands(t *testing.T) {
	at, _ := startServer(t)
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	for _, name := range []string{"WEIR_URL", "WEIR_CA", "WEIR_TOKEN", "WEIR_CONTEXT"} {
		t.Setenv(name, "")
	}
	sh := shell{t}
	sh.run(0, "login", at.URL, "--ca", at.CAHash, "--name", "prod", "--token-file", at.TokenFile)
	sh.says(sh.run(0, "server", "list"), "SERVER", at.URL, "MEMBER", "weir", "is there", "leads", "This one member is the store.")
	sh.says(sh.run(0, "server", "list", "-o", "json"), `"healthy": true`)
	sh.says(sh.run(1, "server", "remove", "weir", "--reason", "test"), "weir is the only member of the store; nothing was changed")
	sh.says(sh.run(1, "server", "remove", "nobody"), "the store has no member nobody; nothing was changed")
	out := sh.run(0, "token", "server", "--host", "weir2.example.com")
	sh.says(out, "weir_join_", "Token for one server, valid until", "--store-peer https://HOST:2380 --store-join "+at.URL)
	sh.says(sh.run(0, "token", "list"), "a server's joining")
	sh.says(sh.run(1, "token", "server", "--host", "no/host"), "is no host name")
	token := strings.Fields(out)[0]
	for _, word := range strings.Fields(out) {
		if strings.HasPrefix(word, "weir_join_") {
			token = word
		}
	}

	data := []string{"server", "--data-dir", filepath.Join(home, "data"), "--listen", "127.0.0.1:0", "--metrics-listen", ""}
	try := func(status int, want string, flags ...string) {
		t.Helper()
		sh.says(sh.run(status, append(data, flags...)...), want)
	}
	file := filepath.Join(home, "server.token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	peer := "https://127.0.0.1:2380"
	try(2, "--store-peer is missing", "--store-join", at.URL, "--store-join-token-file", file)
	try(2, "--store-join and --store-join-token-file go together", "--store-peer", peer, "--store-join", at.URL)
	try(2, "--store-peer and --etcd-endpoints exclude each other", "--store-peer", peer, "--etcd-endpoints", "https://127.0.0.1:1")
	try(1, "read --store-join-token-file", "--store-peer", peer, "--store-join", at.URL, "--store-join-token-file", file+"x")
	try(1, "start the server again with --store-peer", "--store-peer", peer, "--store-join", at.URL, "--store-join-token-file", file)
}

// The line under weir status says how many may still go.
func TestQuorumText(t *testing.T) {
	t.Parallel()
	member := func(healthy, learner bool) api.MemberStatus {
		return api.MemberStatus{Healthy: healthy, Learner: learner}
	}
	for _, c := range []struct {
		members []api.MemberStatus
		want    string
	}{
		{[]api.MemberStatus{member(true, false)}, "This one member is the store."},
		{[]api.MemberStatus{member(true, false), member(true, true)}, "This one member is the store."},
		{[]api.MemberStatus{member(true, false), member(true, false)}, "Both members are needed, which is less safe than one: let a third join."},
		{[]api.MemberStatus{member(true, false), member(true, false), member(true, false)}, "1 member may go and changes go on."},
		{[]api.MemberStatus{member(true, false), member(true, false), member(false, false)}, "No further member may go, or nothing can be changed."},
		{[]api.MemberStatus{member(true, false), member(false, false), member(false, false)}, "1 of 3 members are there: nothing can be changed until more come back"},
	} {
		if got := quorum(&screen{}, c.members); got != c.want {
			t.Errorf("%+v: %s, want %s", c.members, got, c.want)
		}
	}
}

// What weir status says of the store at its end: nothing of one server that is well, and never nothing of one without
// a majority.
func TestStoreText(t *testing.T) {
	t.Parallel()
	one := api.ServerStatus{Name: "weir1"}
	here, away := api.MemberStatus{Name: "weir1", Healthy: true}, api.MemberStatus{Name: "weir2"}
	for _, c := range []struct {
		status api.StoreStatus
		want   string
	}{
		{api.StoreStatus{Servers: []api.ServerStatus{one}, Members: []api.MemberStatus{here}}, ""},
		{api.StoreStatus{Servers: []api.ServerStatus{one, one}, Outside: true}, "2 servers: weir1 and weir1"},
		{api.StoreStatus{Servers: []api.ServerStatus{one, one}, Members: []api.MemberStatus{here, here, away}}, "2 servers: weir1 and weir1; store: 2/3 members; away: weir2"},
		{api.StoreStatus{Members: []api.MemberStatus{here, away}}, "store: 1/2 members; away: weir2; nothing can be changed until more come back; load balancers serve on"},
	} {
		if got := storeText(&screen{}, &c.status); got != c.want {
			t.Errorf("%+v: %s, want %s", c.status, got, c.want)
		}
	}
}
