/* SHA-256 against the vectors of FIPS 180-4 and against itself in pieces. */
#include "check.h"

#include "os/sha256.h"

static void assert_hash(const void *data, size_t len, const char *hex)
{
    uint8_t digest[EMP_SHA256_BYTES];
    char text[EMP_SHA256_HEX];
    emp_sha256_of(data, len, digest);
    emp_sha256_hex(digest, text);
    assert_string_equal(text, hex);
}

static void the_standards_vectors(void **state)
{
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    (void)state;
    assert_hash("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hash("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_hash(two, sizeof two - 1,
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void pieces_make_the_same_as_the_whole(void **state)
{
    uint8_t data[1000], whole[EMP_SHA256_BYTES], parts[EMP_SHA256_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    emp_sha256_of(data, sizeof data, whole);
    struct emp_sha256 *s = emp_sha256_new();
    for (size_t step = 1; step < 200; step += 13) {
        for (size_t at = 0; at < sizeof data; at += step)
            emp_sha256_add(s, data + at, at + step < sizeof data ? step : sizeof data - at);
        emp_sha256_end(s, parts);
        assert_memory_equal(parts, whole, sizeof whole);
        emp_sha256_reset(s);
    }
    emp_sha256_free(s);
    emp_sha256_free(NULL);
}

static void a_file_is_hashed_with_its_length(void **state)
{
    enum { BYTES = (3 << 20) + 17 };
    uint8_t *data = malloc(BYTES), want[EMP_SHA256_BYTES], got[EMP_SHA256_BYTES];
    int64_t bytes = 0;
    struct emp_error err;
    (void)state;
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (uint8_t)(i >> 8 ^ i);
    FILE *f = fopen("big", "wb");
    assert_int_equal(fwrite(data, 1, BYTES, f), BYTES);
    fclose(f);
    emp_sha256_of(data, BYTES, want);
    assert_int_equal(emp_sha256_file("big", NULL, got, &bytes, &err), 0);
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(bytes, BYTES);
    free(data);
}

static void a_file_that_cannot_be_hashed_says_why(void **state)
{
    uint8_t digest[EMP_SHA256_BYTES];
    struct emp_error err;
    atomic_bool stop = true;
    (void)state;
    assert_int_equal(emp_sha256_file("no", NULL, digest, NULL, &err), EMP_E_NOT_FOUND);
    assert_string_equal(err.text, "cannot read no: No such file or directory");
    assert_int_equal(emp_sha256_file(".", NULL, digest, NULL, &err), EMP_E_IO);
    assert_string_equal(err.text, "cannot read .: Is a directory");
    put("a", "x");
    assert_int_equal(emp_sha256_file("a", &stop, digest, NULL, &err), EMP_E_CANCELLED);
    stop = false;
    assert_int_equal(emp_sha256_file("a", &stop, digest, NULL, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standards_vectors),
        cmocka_unit_test(pieces_make_the_same_as_the_whole),
        place_test(a_file_is_hashed_with_its_length),
        place_test(a_file_that_cannot_be_hashed_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
