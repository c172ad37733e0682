/*
 * names.c - the legacy alphabets of label and metric names.
 */
#include "collector/series/labels.h"

static bool is_name(struct bytes name, bool colon_too)
{
    if (name.size == 0)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool digit = c >= '0' && c <= '9' && i > 0;
        if (!letter && !digit && !(colon_too && c == ':'))
            return false;
    }
    return true;
}

bool label_name_is_legacy(struct bytes name)
{
    return is_name(name, false);
}

bool metric_name_is_legacy(struct bytes name)
{
    return is_name(name, true);
}
