package e2e

import (
	"fmt"
	"testing"

	"weir/internal/weirtest"
)

// TestNothingIsOrderedWhileARestoreWaits: a control plane that was restored orders, renews and tidies up nothing until
// that is accepted, and says so; then what is due comes.
func TestNothingIsOrderedWhileARestoreWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply("kind: Issuer\nmetadata: {name: inside}\nspec: {type: ca, ca: {commonName: Inside}}\n" +
		"---\nkind: Certificate\nmetadata: {name: before}\nspec: {issuer: inside, names: [before.example.com]}\n")
	issued := func(name string) (revision int64) {
		t.Helper()
		weirtest.Eventually(t, waitLong, func() error {
			var o struct {
				Metadata struct{ Revision int64 }
				Revision int64
				Spec     struct{ KeyRef *struct{ Generation int64 } }
			}
			if _, err := w.call("GET", "/api/v1/certificates/"+name, "", &o); err != nil || o.Spec.KeyRef == nil {
				return fmt.Errorf("%+v, %v", o, err)
			}
			revision = o.Revision
			return nil
		})
		return revision
	}
	issued("before")
	raw := w.backup()
	w.lose()
	w.restoreFrom(raw)
	w.startServer()
	w.apply("kind: Certificate\nmetadata: {name: meanwhile}\nspec: {issuer: inside, names: [meanwhile.example.com]}\n")
	w.says("certificates/meanwhile", "Issued", "False", "nothing is ordered until the restore is accepted")
	// Another start of the server, after which whoever has the lease would be at work.
	w.stopServer()
	w.startServer()
	w.planned(0)
	w.says("certificates/meanwhile", "Issued", "False", "there is none yet")
	marker := w.apply("kind: Zone\nmetadata: {name: while-held}\n")
	w.accept()
	if revision := issued("meanwhile"); revision <= marker {
		t.Errorf("it was issued by change %d, before the restore was accepted after change %d", revision, marker)
	}
}
