/* support/lsan.c: linked into every Criterion test of a build with the address sanitizer.
 *
 * Criterion 2.4.1 never frees the tree of a compound assertion. Suppressed here and not in the environment, so that a test
 * started by hand says the same as under ctest.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libcriterion.so\n";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}
