/* text.js - what the console says, in the chosen language. */
import {texts as chinese} from './text_zh.js';
import {texts as english} from './text_en.js';

let texts = chinese;
let tag = 'zh-CN';

export function set_language(language) {
  texts = language === 'en' ? english : chinese;
  tag = language === 'en' ? 'en' : 'zh-CN';
  document.documentElement.lang = tag;
}

export function language_tag() {
  return tag;
}

/* t('ago', '5 s'): the text of a key, with {0} {1} filled in; of "one|many" what {0} asks for. */
export function t(key, ...values) {
  if (texts[key] === undefined) return key;
  const [one, many] = texts[key].split('|');
  const text = many === undefined || values[0] === 1 ? one : many;
  return text.replace(/\{(\d)\}/g, (all, index) => String(values[index]));
}

/* A text that may be missing. */
export function t_or(key, otherwise) {
  return texts[key] === undefined ? otherwise : texts[key];
}
