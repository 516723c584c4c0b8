package store

import (
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestWhatIsOverComesBackInNoOrder: whatever order the answers of etcd and its watch come in, what was ended is not there
// again, and what is newer stays.
func TestWhatIsOverComesBackInNoOrder(t *testing.T) {
	t.Parallel()
	kv := func(name, value string, at int64) *mvccpb.KeyValue {
		return &mvccpb.KeyValue{Key: []byte("x/" + name), Value: []byte(value), ModRevision: at}
	}
	put := func(name, value string, at int64) *clientv3.Event { return &clientv3.Event{Kv: kv(name, value, at)} }
	gone := func(name string, at int64) *clientv3.Event {
		return &clientv3.Event{Type: mvccpb.Event_DELETE, Kv: kv(name, "", at)}
	}
	type values = kept[string]
	watch := func(k *values, events ...*clientv3.Event) { k.watched(events) }
	for name, c := range map[string]struct {
		steps func(k *values)
		want  string // of a, empty for nothing
	}{
		"the watch is first":             {func(k *values) { watch(k, put("a", "1", 10), gone("a", 11)); k.note(kv("a", "1", 10)) }, ""},
		"ended here, then watched":       {func(k *values) { k.note(kv("a", "1", 10)); k.end("a", 11); watch(k, put("a", "1", 10)) }, ""},
		"ended here, then read":          {func(k *values) { k.note(kv("a", "1", 10)); k.end("a", 11); k.note(kv("a", "1", 10)) }, ""},
		"read again from the start":      {func(k *values) { k.note(kv("a", "1", 10)); k.replace(nil, 11) }, ""},
		"read anew, then an answer":      {func(k *values) { k.replace(nil, 11); k.note(kv("a", "1", 10)) }, ""},
		"watched in two pieces":          {func(k *values) { watch(k, put("a", "1", 10)); watch(k, gone("a", 11)) }, ""},
		"ended after the watch said":     {func(k *values) { watch(k, put("a", "1", 10), gone("a", 11)); k.end("a", 11) }, ""},
		"ended before it was read":       {func(k *values) { k.end("a", 11); k.replace([]*mvccpb.KeyValue{kv("a", "1", 10)}, 10) }, ""},
		"newer than what was read":       {func(k *values) { k.note(kv("a", "1", 10)); k.replace(nil, 9) }, "1"},
		"written again after an end":     {func(k *values) { k.end("a", 11); k.note(kv("a", "2", 12)); watch(k, put("a", "1", 10), gone("a", 11)) }, "2"},
		"an old answer after a new one":  {func(k *values) { k.note(kv("a", "2", 12)); k.note(kv("a", "1", 10)) }, "2"},
		"an old end after a new value":   {func(k *values) { k.note(kv("a", "2", 12)); k.end("a", 11) }, "2"},
		"two of one transaction":         {func(k *values) { watch(k, put("b", "1", 10), put("a", "1", 10)) }, "1"},
		"what can't be read passes over": {func(k *values) { k.note(kv("a", "1", 10)); watch(k, put("a", "bad", 11)) }, "1"},
	} {
		s := &Store{}
		s.opts.fill()
		k := keep(s, "x/", "values", "a value", func(_ string, kv *mvccpb.KeyValue) (string, error) {
			if string(kv.Value) == "bad" {
				return "", errors.New("bad")
			}
			return string(kv.Value), nil
		})
		c.steps(k)
		if got, ok := k.Get("a"); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: it is %q, there %t; want %q", name, got, ok, c.want)
		}
		watch(k, put("c", "1", 20))
		if len(k.ended) > 0 {
			t.Errorf("%s: %v are remembered for ever", name, k.ended)
		}
	}
}
