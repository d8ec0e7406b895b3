// Package s3depot keeps revisions in a bucket of S3 or of a server that speaks its protocol.
//
// Invariant: an object is created only where none is (If-None-Match: *), and a head replaced only if it is the one that was read
// (If-Match), so that of several writers, also of one that was stopped and goes on, none takes back what another has written.
//
// Region, credentials and endpoint are those of the AWS SDK: its environment variables (AWS_REGION, AWS_ENDPOINT_URL, ...), its files
// and the role of the instance or task.
package s3depot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gatehouse/rules/revision"
)

// Scheme is how the URL of a bucket begins.
const Scheme = "s3://"

// Depot is a part of a bucket. It implements revision.Depot.
type Depot struct {
	client *s3.Client
	bucket string
	prefix string // empty, or ends with a slash
}

// Parse splits s3://BUCKET/PREFIX, of which the prefix may be missing.
func Parse(url string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(url, Scheme)
	bucket, prefix, _ = strings.Cut(rest, "/")
	if !ok || bucket == "" || strings.ContainsAny(url, "?# ") {
		return "", "", fmt.Errorf("%q is not s3://BUCKET or s3://BUCKET/PREFIX", url)
	}
	return bucket, strings.Trim(prefix, "/"), nil
}

// Open prepares for s3://BUCKET/PREFIX. Nothing is asked yet.
func Open(ctx context.Context, url string) (*Depot, error) {
	bucket, prefix, err := Parse(url)
	if err != nil {
		return nil, err
	}
	if prefix != "" {
		prefix += "/"
	}
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	if c.Region == "" {
		return nil, fmt.Errorf("%s: no region is known; set AWS_REGION", url)
	}
	client := s3.NewFromConfig(c, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil // an endpoint of one's own has no name for each bucket
	})
	return &Depot{client: client, bucket: bucket, prefix: prefix}, nil
}

func (d *Depot) key(name string) *string { return aws.String(d.prefix + name) }

// Get implements revision.Depot. The tag is the ETag.
func (d *Depot) Get(ctx context.Context, name string, most int64) (data []byte, tag string, err error) {
	out, err := d.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &d.bucket, Key: d.key(name)})
	if err != nil {
		return nil, "", d.wrong("read", name, err)
	}
	defer out.Body.Close()
	data, err = io.ReadAll(io.LimitReader(out.Body, most+1))
	switch {
	case err != nil:
		return nil, "", d.wrong("read", name, err)
	case int64(len(data)) > most:
		return nil, "", fmt.Errorf("s3://%s/%s%s: it has more than %d bytes", d.bucket, d.prefix, name, most)
	}
	return data, aws.ToString(out.ETag), nil
}

// Create implements revision.Depot.
func (d *Depot) Create(ctx context.Context, name string, data []byte) error {
	return d.put(ctx, name, data, func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
}

// Replace implements revision.Depot.
func (d *Depot) Replace(ctx context.Context, name, tag string, data []byte) error {
	if tag == "" {
		return d.Create(ctx, name, data)
	}
	err := d.put(ctx, name, data, func(in *s3.PutObjectInput) { in.IfMatch = &tag })
	if errors.Is(err, fs.ErrNotExist) { // it is gone
		return revision.ErrChanged
	}
	return err
}

// put writes under a condition. S3 answers 409 where another write of the object is under way: then nothing was written, and
// what becomes of the other one is not known.
func (d *Depot) put(ctx context.Context, name string, data []byte, condition func(*s3.PutObjectInput)) error {
	const tries = 5
	for i := range tries {
		in := &s3.PutObjectInput{Bucket: &d.bucket, Key: d.key(name), Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data)))}
		condition(in)
		_, err := d.client.PutObject(ctx, in)
		switch {
		case err == nil:
			return nil
		case status(err) == http.StatusPreconditionFailed:
			return revision.ErrChanged
		case status(err) != http.StatusConflict || i == tries-1:
			return d.wrong("write", name, err)
		}
		select {
		case <-time.After(100 * time.Millisecond << i):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// status is that of the answer that an error is about, 0 if there was none.
func status(err error) int {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// wrong says what could not be done to which object, without the SDK's own long words.
func (d *Depot) wrong(what, name string, err error) error {
	where := fmt.Sprintf("%s s3://%s/%s%s", what, d.bucket, d.prefix, name)
	switch status(err) {
	case http.StatusNotFound:
		return fmt.Errorf("%s: %w", where, fs.ErrNotExist)
	case http.StatusForbidden:
		return fmt.Errorf("%s: access is denied (S3 says so too where nothing is and s3:ListBucket is not allowed): %w", where, err)
	}
	return fmt.Errorf("%s: %w", where, err)
}
