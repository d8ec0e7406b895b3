package s3depot

import (
	"os"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for url, want := range map[string][2]string{
		"s3://bucket":           {"bucket", ""},
		"s3://bucket/":          {"bucket", ""},
		"s3://bucket/a/b":       {"bucket", "a/b"},
		"s3://bucket/a/b/":      {"bucket", "a/b"},
		"s3://bucket/file.yaml": {"bucket", "file.yaml"},
	} {
		bucket, prefix, err := Parse(url)
		if err != nil || bucket != want[0] || prefix != want[1] {
			t.Errorf("%s: %q, %q, %v", url, bucket, prefix, err)
		}
	}
	for _, url := range []string{"", "bucket", "s3:/bucket", "s3://", "s3:///x", "https://bucket/x", "s3://bucket?x=1", "s3://a b/"} {
		if _, _, err := Parse(url); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

// TestNoRegion: what is missing is named before anything is asked.
func TestNoRegion(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	if _, err := Open(t.Context(), "s3://bucket"); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("%v", err)
	}
}
