package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/internal/secrets"
	"weir/internal/store"
)

// backupWithin is how long a backup may take to be made.
const backupWithin = 10 * time.Minute

var recipientParam = param{name: "recipient", kind: "string", many: true, doc: "Who can read the backup: a public key of age, such as age1…; may be given several times."}

// backup makes a backup and sends it. It lies encrypted on disk before its first byte is sent, so that what fails
// is a refusal and no half file.
func (c *call) backup() error {
	if !c.who.Holds(weir.Admin, "") {
		return weir.Errorf(weir.Forbidden, "a backup takes the right admin on role \"*\", which %s does not have", c.who.Subject)
	}
	given := c.r.URL.Query()["recipient"]
	to, err := store.ParseRecipients(strings.Join(given, "\n"))
	if err != nil {
		return err
	}
	if !c.h.backing.TryLock() {
		return weir.Errorf(tooMany, "another backup is being made; try again when that is done")
	}
	defer c.h.backing.Unlock()
	f, err := spool(c.h.opts.Spool)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	control := http.NewResponseController(c.w)
	_ = control.SetWriteDeadline(time.Time{}) // nothing is written while it is made
	ctx, cancel := context.WithTimeout(c.r.Context(), backupWithin)
	defer cancel()
	info, err := c.h.opts.Store.Backup(ctx, f, to, c.h.opts.Version)
	if err != nil {
		return err
	}
	c.revision = info.Revision
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	c.audit(secrets.AuditEntry{What: "backup", Outcome: "accepted", Reason: fmt.Sprintf("revision %d to %s", info.Revision, strings.Join(given, ", "))})
	head := c.w.Header()
	head.Set("Content-Type", "application/octet-stream")
	head.Set("Content-Length", strconv.FormatInt(size, 10))
	head.Set("Content-Disposition", `attachment; filename="`+BackupName(info.At, info.Revision)+`"`)
	head.Set("Weir-Revision", strconv.FormatInt(info.Revision, 10))
	c.w.WriteHeader(http.StatusOK)
	return c.cut(c.pour(control, io.NewSectionReader(f, 0, size)))
}

// BackupName is what a backup is called when nobody says otherwise; names sort by time.
func BackupName(at time.Time, revision int64) string {
	return fmt.Sprintf("weir-%s-r%d.age", at.UTC().Format("20060102T150405Z"), revision)
}

// spool opens a file that is gone when it is closed, or when the process ends.
func spool(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".backup-*")
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		return nil, &weir.Error{Kind: weir.Unavailable, Message: "back up: the server can't write into its data folder", Cause: err}
	}
	return f, nil
}

// pour sends a file, each piece with its own time to be taken.
func (c *call) pour(control *http.ResponseController, from io.Reader) error {
	for {
		_ = control.SetWriteDeadline(time.Now().Add(answerWithin))
		if _, err := io.CopyN(c.w, from, 1<<20); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
