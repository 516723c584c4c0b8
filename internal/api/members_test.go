package api

import (
	"context"
	"strings"
	"testing"

	"weir"
)

// fakeMembers is a store of three.
type fakeMembers struct{}

func (fakeMembers) Store(context.Context) (StoreStatus, error) {
	return StoreStatus{Sealing: &SealingStatus{Key: "key-9d1c"}, Servers: []ServerStatus{{Name: "s1"}}, Members: []MemberStatus{{Name: "s1", Healthy: true}, {Name: "s2"}, {Name: "s3"}}}, nil
}

func (fakeMembers) Remove(_ context.Context, name string) error {
	if name != "s2" {
		return weir.Errorf(weir.NotFound, "the store has no member %s", name)
	}
	return nil
}

func TestStoreMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if s := read[StoreStatus](t, w.do("auditor", "GET", "/api/v1/store", "")); len(s.Members) != 3 || !s.Members[0].Healthy || s.Sealing.Key != "key-9d1c" {
		t.Errorf("%+v", s)
	}
	for _, subject := range []string{"viewer", "owner", "nobody"} { // of a role, or of none
		if a := w.do(subject, "GET", "/api/v1/store", ""); a.StatusCode != 403 || strings.Contains(string(a.body), "9d1c") {
			t.Errorf("%s learns which key seals: %d %s", subject, a.StatusCode, a.body)
		}
	}
	w.want(w.do("admin", "DELETE", "/api/v1/store/members/s9", ""), 404)
	w.want(w.do("admin", "DELETE", "/api/v1/store/members/s2?reason=burnt+down", ""), 200)
	if log := w.auditText(); !strings.Contains(log, `"what":"remove store member"`) || !strings.Contains(log, `"object":"s2"`) || !strings.Contains(log, "burnt down") {
		t.Errorf("%s", log)
	}
}
